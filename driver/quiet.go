package driver

import (
	"context"
	"time"
)

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
