package fleet

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"hotswap/internal/records"
)

// leaseLooks is how often all nodes together look whether there is a controller, in a second.
// leaseLeast and leaseMost bound what that leaves for one.
const (
	leaseLooks = 50
	leaseLeast = 500 * time.Millisecond
	leaseMost  = 30 * time.Second
)

// leasePause is how long a node of a fleet of that size waits before it looks again. It is
// spread, since all see at the same time that nobody is the controller.
func leasePause(nodes int) time.Duration {
	pause := min(max(time.Duration(nodes)*time.Second/leaseLooks, leaseLeast), leaseMost)
	return pause + rand.N(pause)
}

// control tries to get the lease whenever nobody has it, and is the controller while it is
// held.
func (n *Node) control() {
	mine := records.Lease{Node: n.cfg.Node, Instance: n.instance}
	nodes := 1
	for n.ctx.Err() == nil {
		sleep(n.ctx, leasePause(nodes))
		ctx, cancel := context.WithTimeout(n.ctx, records.LeaseTTL)
		lease, _, err := n.planeNow().Lease(ctx)
		var held records.Entry
		if err == nil && lease == nil {
			held, err = n.planeNow().TakeLease(ctx, mine)
		}
		cancel()
		switch {
		case lease != nil:
			nodes = lease.Nodes
		case err == nil:
			n.hold(mine, held)
		}
	}
}

// hold is the controller as long as the lease is held.
func (n *Node) hold(mine records.Lease, held records.Entry) {
	n.setController(true)
	defer n.setController(false)
	n.log.Info().Msg("this node is the controller")
	ctx, stop := context.WithCancel(n.ctx)
	var work sync.WaitGroup
	work.Go(func() {
		n.againUntil(ctx, "control", func(ctx context.Context) error { return newController(n).run(ctx) })
	})
	held = n.renew(mine, held)
	stop()
	work.Wait()
	if n.ctx.Err() == nil {
		n.log.Info().Msg("this node is not the controller any more")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leavePatience)
	defer cancel()
	if n.connected() {
		n.planeNow().EndLease(ctx, held)
	}
}

// renew renews the lease until it is lost, or until Close.
func (n *Node) renew(mine records.Lease, held records.Entry) records.Entry {
	renewed := time.Now()
	for {
		sleep(n.ctx, records.LeaseRenewal)
		if n.ctx.Err() != nil {
			return held
		}
		began := time.Now()
		mine.Nodes = int(n.peers.Load())
		ctx, cancel := context.WithTimeout(n.ctx, records.LeaseRenewal)
		now, err := n.planeNow().RenewLease(ctx, mine, held)
		cancel()
		switch {
		case err == nil:
			held, renewed = now, began
		case errors.Is(err, records.ErrChanged), time.Since(renewed) > records.LeaseTTL:
			return held
		}
	}
}

func (n *Node) setController(is bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.controller = is
}
