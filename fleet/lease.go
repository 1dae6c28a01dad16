package fleet

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"hotswap/internal/records"
)

// leases is what is known of the lease.
type leases struct {
	mu   sync.Mutex // guards seen, gone
	seen time.Time  // when somebody was last seen to have it, by this node's clock
	gone bool       // and then not to have it any more
}

// saw takes a change of the lease.
func (l *leases) saw(c records.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = c.Gone
	if !c.Gone {
		l.seen = time.Now()
	}
}

// free reports whether the lease may be had.
func (l *leases) free() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gone || time.Since(l.seen) > 2*records.LeaseTTL
}

// control tries to get the lease whenever nobody has it, and is the controller while it is
// held.
func (n *Node) control() {
	// Everybody sees at the same time that nobody has it.
	const looking, spread = 500 * time.Millisecond, 500 * time.Millisecond
	mine := records.Lease{Node: n.cfg.Node, Instance: n.instance}
	for n.ctx.Err() == nil {
		sleep(n.ctx, looking+rand.N(spread))
		if !n.lease.free() {
			continue
		}
		ctx, cancel := context.WithTimeout(n.ctx, records.LeaseTTL)
		held, err := n.planeNow().TakeLease(ctx, mine)
		cancel()
		switch {
		case err == nil:
			n.hold(mine, held)
		case errors.Is(err, records.ErrChanged):
			n.lease.saw(records.Change{}) // somebody has it
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
