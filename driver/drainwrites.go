package driver

import (
	"context"
	"slices"
	"time"

	"hotswap/internal/peers"
)

// A freeze of writes only (inside.FreezeOptions.WritesOnly) closes no connection but
// those with a shared cache. It has one attempt: writes wait at the gate until the thaw.

// writers makes new writes wait, and waits up to MaxPause until no transaction is open;
// in the processes of the peers, too.
func (dr *drain) writers(ctx context.Context) error {
	dr.frozen.writesOnly = true
	dr.frozen.Attempts = max(dr.frozen.Attempts, 1)
	if dr.frozen.Connections == 0 {
		dr.frozen.closedAt = time.Now()
	}
	began, most := time.Now(), min(dr.opts.MaxPause, dr.opts.Timeout)
	dr.frozen.others.ask(peers.Message{Op: peers.Hush, For: most})
	dr.d.filterGate(&filter{writes: true, shared: dr.opts.swap.CloseShared})
	dr.opts.swap.WritesWait()
	if err := dr.awaitTransactions(ctx, most); err != nil {
		return err
	}
	theirs, err := dr.frozen.others.hush(ctx, most-time.Since(began))
	dr.frozen.Holders = sortHolders(append(dr.frozen.Holders, theirs...))
	return err
}

// awaitTransactions leaves those in Holders that have not ended.
func (dr *drain) awaitTransactions(ctx context.Context, most time.Duration) error {
	end := time.NewTimer(most)
	defer end.Stop()
	for {
		dr.frozen.Holders = dr.transactions()
		if len(dr.frozen.Holders) == 0 {
			return nil
		}
		select {
		case <-dr.d.drainage:
		case <-end.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// transactions describes those that are open, and the running calls that may be part of
// one, or begin one. What a function in Raw does is unknown; most often it takes a
// snapshot, which is long and only reads.
func (dr *drain) transactions() []Holder {
	dr.d.mu.Lock()
	defer dr.d.mu.Unlock()
	all := dr.d.holdersLocked(func(_ *conn, w word) bool { return !w.drained() })
	return slices.DeleteFunc(all, func(h Holder) bool {
		return !h.tx && (h.Kind != HoldCall || h.Query == rawCall || readsOnly(h.Query))
	})
}

// quieten calls Quiet, an option of swaps, before the gate closes to everything.
//
// All that writes wait for in an attempt is bounded by MaxPause: the time until the
// attempt began to close the gate counts, and what Quiet takes is taken from the window
// if need be.
func (dr *drain) quieten(ctx context.Context, holders []Holder, window time.Duration) error {
	if dr.opts.swap.Quiet == nil {
		return nil
	}
	quiet, cancel := context.WithTimeout(ctx, max(dr.opts.MaxPause-window, dr.opts.MaxPause/2))
	defer cancel()
	return dr.opts.swap.Quiet(quiet, func() bool { return dr.holdWrites(quiet, holders, window) })
}

// holdWrites has writes wait, with reads flowing, and reports whether no transaction is
// open any more. If one stays open for the window, the attempt will fail or not
// without Quiet.
func (dr *drain) holdWrites(ctx context.Context, holders []Holder, window time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	f := newFilter(holders)
	f.writes = true
	dr.frozen.writesWait = time.Now()
	dr.d.filterGate(f)
	end := time.NewTimer(window)
	defer end.Stop()
	for len(dr.transactions()) > 0 {
		select {
		case <-dr.d.drainage:
		case <-end.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}
