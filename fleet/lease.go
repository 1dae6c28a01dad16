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
	nodes, said := 1, ""
	var seen sighting
	for n.ctx.Err() == nil {
		sleep(n.ctx, leasePause(nodes))
		ctx, cancel := context.WithTimeout(n.ctx, records.LeaseTTL)
		lease, at, err := n.planeNow().Lease(ctx)
		if lease != nil {
			nodes = lease.Nodes
		}
		var held records.Entry
		began := time.Now()
		if err == nil {
			held, err = n.take(ctx, mine, lease, seen.of(lease, at), at)
		}
		cancel()
		switch {
		case err == nil && held.Revision != 0:
			n.hold(mine, held, &tenure{renewed: began})
		case err != nil && !errors.Is(err, records.ErrChanged) && n.ctx.Err() == nil && n.connected() && err.Error() != said:
			said = err.Error()
			n.log.Warn().Err(err).Msg("become the controller, if there is none: failed, and will be tried again")
		}
	}
}

// take takes the lease if nobody has it, or nobody has renewed it for so long that it should
// have expired: the engine may have been restored, its clock set back, or the key written
// without an end. Whoever has it, and is only slow, finds out by its next renewal. That two
// are the controller until then harms nothing: what counts is the progress, and each changes it
// by compare-and-swap.
func (n *Node) take(ctx context.Context, mine records.Lease, lease *records.Lease, unchanged time.Duration, at records.Entry) (records.Entry, error) {
	switch {
	case lease == nil:
		return n.planeNow().TakeLease(ctx, mine)
	case unchanged > n.cfg.overdue:
		held, err := n.planeNow().RenewLease(ctx, mine, at)
		if err == nil {
			n.log.Warn().Str("held_by", lease.Node).Dur("unchanged", unchanged).Msg("took over a lease that had not expired")
		}
		return held, err
	}
	return records.Entry{}, nil
}

// sighting is when a node has seen a lease for the first time, by its own clock, of which
// neither the engine's nor the wall's steps are seen.
type sighting struct {
	lease records.Entry
	first time.Time
}

// of returns for how long a lease is known not to have changed.
func (s *sighting) of(lease *records.Lease, at records.Entry) time.Duration {
	if lease == nil || s.lease.Revision != at.Revision || !s.lease.At.Equal(at.At) {
		*s = sighting{at, time.Now()}
	}
	return time.Since(s.first)
}

// tenure is how a controller knows that it still is the controller.
type tenure struct {
	mu      sync.Mutex
	renewed time.Time // when it began to ask for the renewal that succeeded last
}

func (t *tenure) renew(began time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.renewed = began
}

// over reports whether another node may be the controller since. That is so of one that was
// stopped, too: what it has read by then may be as old.
func (t *tenure) over() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Since(t.renewed) > records.LeaseTTL
}

// hold is the controller as long as the lease is held.
func (n *Node) hold(mine records.Lease, held records.Entry, term *tenure) {
	n.setController(true)
	defer n.setController(false)
	n.log.Info().Msg("this node is the controller")
	ctx, stop := context.WithCancel(n.ctx)
	var work sync.WaitGroup
	work.Go(func() {
		n.againUntil(ctx, "control", func(ctx context.Context) error { return newController(n, term).run(ctx) })
	})
	held = n.renew(mine, held, term)
	stop()
	work.Wait()
	if n.ctx.Err() == nil {
		n.log.Info().Msg("this node is not the controller any more")
	}
	// Or it is another's by now, which this does not end.
	ctx, cancel := context.WithTimeout(context.Background(), leavePatience)
	defer cancel()
	if n.connected() {
		n.planeNow().EndLease(ctx, held)
	}
}

// renew renews the lease until it is lost, or until Close.
func (n *Node) renew(mine records.Lease, held records.Entry, term *tenure) records.Entry {
	for {
		sleep(n.ctx, records.LeaseRenewal)
		if n.ctx.Err() != nil || term.over() {
			return held
		}
		began := time.Now()
		mine.Nodes = int(n.peers.Load())
		ctx, cancel := context.WithTimeout(n.ctx, records.LeaseRenewal)
		now, err := n.planeNow().RenewLease(ctx, mine, held)
		cancel()
		switch {
		case err == nil:
			held = now
			term.renew(began)
		case errors.Is(err, records.ErrChanged):
			return held
		}
	}
}

func (n *Node) setController(is bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.controller = is
}
