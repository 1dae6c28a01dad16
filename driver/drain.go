package driver

import (
	"context"
	"errors"
	"time"
)

const (
	firstWindow = 5 * time.Millisecond
	// eagerWindow bounds the windows that may follow one another without the
	// rest between attempts.
	eagerWindow = 50 * time.Millisecond
	// forceGrace bounds the wait for interrupted calls to return.
	forceGrace = 2 * time.Second
)

// drain is the wait of one Freeze. It goes through attempts:
//
//	gate closed, for a window ---- all drained --------------------> done
//	     ^               |
//	     |               | some hold on
//	     |               v
//	     |     gate open for all; those that held on keep their mark,
//	     |     so that each is caught when its hold ends
//	     |               |
//	     +---------------+  all caught (they wait now), or none is
//	                        left to catch and the gate was open long enough
//
// A loop that queries inside its open Rows can't end while the gate is closed,
// and begins anew as soon as it is open: to close the gate at the very end of
// its Rows is what drains it. And while a hold of minutes lasts, the gate is
// not closed at all.
type drain struct {
	d      *Database
	opts   FreezeOptions
	start  time.Time
	frozen *Frozen
}

var errTimeout = errors.New("timeout")

// run returns nil with the gate closed and every connection drained.
func (dr *drain) run(ctx context.Context) error {
	d, f := dr.d, dr.frozen
	dr.opts.Notify(FreezeEvent{Step: FreezeWaiting, Count: len(d.Holders())})
	window := min(firstWindow, dr.opts.MaxPause)
	var caughtAt time.Time
	for {
		f.Attempts++
		f.closedAt = time.Now()
		if !caughtAt.IsZero() {
			f.closedAt = caughtAt
		}
		d.shutGate()
		dr.opts.Notify(FreezeEvent{Step: FreezeGateClosed, Window: window})
		left, err := dr.await(ctx, window)
		if err != nil {
			return err
		}
		if left == nil {
			return nil
		}
		holders := dr.holders()
		f.Holders = mergeHolders(f.Holders, holders)
		d.openGate(left)
		dr.opts.Notify(FreezeEvent{Step: FreezeGateReopened, Holders: holders})
		caughtAt, err = dr.catch(ctx, left, window)
		if errors.Is(err, errTimeout) {
			if dr.opts.Force {
				return dr.force(ctx)
			}
			return &HeldError{Path: d.path, Waited: time.Since(dr.start), Holders: dr.holdersOf(left)}
		}
		if err != nil {
			return err
		}
		window = min(2*window, dr.opts.MaxPause)
	}
}

func (dr *drain) remaining() time.Duration { return dr.opts.Timeout - time.Since(dr.start) }

// await waits, with the gate closed, until all have drained, and returns those
// that have not by the end of the window.
func (dr *drain) await(ctx context.Context, window time.Duration) (left map[*conn]bool, err error) {
	end := time.NewTimer(max(min(window, dr.remaining()), time.Millisecond))
	defer end.Stop()
	for {
		if left = dr.d.undrained(); left == nil {
			return nil, nil
		}
		select {
		case <-dr.d.drainage:
		case <-end.C:
			return dr.d.undrained(), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// catch waits, with the gate open but for the armed connections, until it is
// time for the next attempt. The armed ones that drained first wait for the
// others half a window at most. It returns since when one waits.
func (dr *drain) catch(ctx context.Context, armed map[*conn]bool, window time.Duration) (caughtAt time.Time, err error) {
	rest := time.NewTimer(2 * window)
	defer rest.Stop()
	timeout := time.NewTimer(dr.remaining())
	defer timeout.Stop()
	rested := false
	var patience <-chan time.Time
	for {
		caught := dr.caught(armed)
		switch {
		case caught < len(armed):
			if caught > 0 && patience == nil {
				caughtAt = time.Now()
				patience = time.After(window / 2)
			}
		case rested || caught > 0 && window <= eagerWindow:
			return caughtAt, nil
		case caught > 0:
			dr.letGo(armed)
			caughtAt, patience = time.Time{}, nil
		}
		select {
		case <-dr.d.drainage:
		case <-rest.C:
			rested = true
		case <-patience:
			dr.letGo(armed)
			caughtAt, patience = time.Time{}, nil
		case <-timeout.C:
			return time.Time{}, errTimeout
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

// caught counts the armed connections that have drained, and forgets those
// that the pool has closed.
func (dr *drain) caught(armed map[*conn]bool) (n int) {
	dr.d.mu.Lock()
	defer dr.d.mu.Unlock()
	for c := range armed {
		if _, ok := dr.d.conns[c]; !ok {
			delete(armed, c)
		} else if drained(c.state.Load()) {
			n++
		}
	}
	return n
}

// letGo releases the caught connections and disarms them.
func (dr *drain) letGo(armed map[*conn]bool) {
	dr.d.mu.Lock()
	defer dr.d.mu.Unlock()
	for c := range armed {
		if drained(c.state.Load()) {
			c.release()
			delete(armed, c)
		}
	}
	dr.d.wakeLocked()
}

// holders describes what is not drained, with the gate closed.
func (dr *drain) holders() []Holder {
	dr.d.mu.Lock()
	defer dr.d.mu.Unlock()
	return dr.d.holdersLocked(func(w uint64) bool { return !drained(w) })
}

// holdersOf describes what the armed connections hold, with the gate open.
func (dr *drain) holdersOf(armed map[*conn]bool) []Holder {
	if len(armed) == 0 {
		return dr.frozen.Holders
	}
	dr.d.mu.Lock()
	defer dr.d.mu.Unlock()
	return dr.d.holdersLocked(func(w uint64) bool { return w&wantMark != 0 && !drained(w) })
}

// mergeHolders adds to all those of more that are not in it by kind and query.
func mergeHolders(all, more []Holder) []Holder {
next:
	for _, h := range more {
		for i := range all {
			if all[i].Kind == h.Kind && all[i].Query == h.Query {
				all[i].For = max(all[i].For, h.For)
				continue next
			}
		}
		all = append(all, h)
	}
	return all
}

// force closes the gate for the last time: it interrupts the running calls
// until each has returned, and then, with nobody inside a call, ends what is
// held. Nothing is ended before all calls have returned, so a call that can't
// be interrupted costs nobody a transaction.
func (dr *drain) force(ctx context.Context) error {
	d, f := dr.d, dr.frozen
	f.Attempts++
	f.closedAt = time.Now()
	d.shutGate()
	dr.opts.Notify(FreezeEvent{Step: FreezeGateClosed, Window: forceGrace})
	end := time.NewTimer(forceGrace)
	defer end.Stop()
	again := time.NewTicker(firstWindow)
	defer again.Stop()
	for {
		left := d.undrained()
		busy := 0
		for c := range left {
			if c.state.Load()&stateMask == stateBusy {
				busy++
				if c.interrupting.CompareAndSwap(false, true) {
					go func() { // may wait for a user's function for ever
						defer c.interrupting.Store(false)
						c.interrupt()
					}()
				}
			}
		}
		if busy == 0 {
			if dr.killAll(left) {
				return nil
			}
			continue // one began another call
		}
		select {
		case <-d.drainage:
		case <-again.C:
		case <-end.C:
			return &HeldError{Path: d.path, Waited: time.Since(dr.start), Holders: dr.holders()}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// killAll takes what is held; false if an owner was faster with a call.
func (dr *drain) killAll(left map[*conn]bool) bool {
	all := true
	for c := range left {
		c.mu.Lock()
		if c.claim() {
			c.kill()
			c.unclaim(stateIdle)
		} else if !drained(c.state.Load()) {
			all = false
		}
		c.mu.Unlock()
	}
	return all
}
