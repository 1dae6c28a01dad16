package driver

import (
	"context"
	"errors"
	"time"
)

const (
	firstWindow = 5 * time.Millisecond
	// eagerWindow bounds the windows that may follow one another without the rest
	// between attempts; one of MaxPause is always followed by a rest.
	eagerWindow = 50 * time.Millisecond
	// lockSleep is the longest that a call sleeps in SQLite's busy handler, and a
	// margin: one that did not return in a window of that length, with the gate closed,
	// was not waiting for a lock.
	lockSleep = 150 * time.Millisecond
)

// drain is the wait of one Freeze. It goes through attempts (attempts.go), each with a
// window twice as long as the last:
//
//	gate closed ------ all drained ---------------------------> done
//	   ^     |
//	   |     | some held on: the next attempt knows them
//	   |     v
//	   |  gate filtering: open, except for what would make the same
//	   |     |    holds again, for half of the window at most
//	   |     |
//	   +-----+ they have ended: closed for the rest of the window
//	   ^     |
//	   |     | they have not
//	   |     v
//	   |  gate open, until they have ended, and for twice the window
//	   |     |
//	   +-----+
//
// With inside.FreezeOptions.Quiet, writes alone wait before each "gate closed": see quieten.
//
// A loop that queries inside its open Rows can't end while the gate is closed, and
// starts again as soon as it is open. What tells its outer query from the inner ones is
// that it was seen held: so the inner ones go through, the outer one waits, and all
// such loops come to an end. And while a hold of minutes lasts, or a call that a window
// has shown to be long, the gate is not closed at all.
type drain struct {
	d      *Database
	opts   FreezeOptions
	start  time.Time
	frozen *Frozen
	killed int  // connections that force closed
	shared bool // drain only those with a shared cache
	scarce bool // descriptors may run out while calls wait
}

var errTimeout = errors.New("timeout")

// takeTurn waits, if the freeze is one in turn, until it may close the gate.
func (dr *drain) takeTurn(ctx context.Context, most time.Duration) error {
	if !dr.opts.swap.InTurn {
		return nil
	}
	return dr.frozen.turn.take(ctx, dr.d.Path(), most)
}

func (dr *drain) remaining() time.Duration { return dr.opts.Timeout - time.Since(dr.start) }

// drained waits, with the gate closed, until every connection has drained; it returns
// errTimeout at the end of the window.
func (dr *drain) drained(ctx context.Context, window time.Duration) error {
	end := time.NewTimer(max(min(window, dr.remaining()), time.Millisecond))
	defer end.Stop()
	for dr.undrained() != nil {
		select {
		case <-dr.d.drainage:
		case <-end.C:
			if dr.undrained() == nil {
				return nil
			}
			return errTimeout
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// wait waits until these connections have drained or begun something new, or most has
// passed; if calls is set, only until they are at least inside a call.
func (dr *drain) wait(ctx context.Context, most time.Duration, holding map[*conn]word, calls bool) error {
	end := time.NewTimer(min(most, dr.remaining()))
	defer end.Stop()
	for {
		dr.forgetEnded(holding)
		if len(holding) == 0 || calls && !dr.anyHeld(holding) {
			return nil
		}
		select {
		case <-dr.d.drainage:
		case <-end.C:
			dr.forgetEnded(holding)
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// rest waits, with the gate open, for the pause, and until these connections hold
// nothing between their calls; or until the timeout. It waits for a running call only
// if that is known to take long: otherwise it may be waiting for SQLite's write lock,
// which it gets only when the gate keeps others off.
func (dr *drain) rest(ctx context.Context, holding map[*conn]word, pause time.Duration, long bool) error {
	over := time.NewTimer(min(pause, dr.remaining()))
	defer over.Stop()
	if err := dr.wait(ctx, dr.remaining(), holding, !long); err != nil {
		return err
	}
	select {
	case <-over.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// forgetEnded drops the connections whose hold has ended, and those that the pool has
// closed.
func (dr *drain) forgetEnded(holding map[*conn]word) {
	dr.d.mu.Lock()
	defer dr.d.mu.Unlock()
	for c, period := range holding {
		w := c.state.load()
		if _, ok := dr.d.conns[c]; !ok || w.drained() || w.period() != period {
			delete(holding, c)
		}
	}
}

// anyHeld reports whether one of these connections is held between its calls.
func (dr *drain) anyHeld(holding map[*conn]word) bool {
	for c := range holding {
		if c.state.load().state() == stateHeld {
			return true
		}
	}
	return false
}

// holders describes what is not drained, with the gate closed.
func (dr *drain) holders() []Holder {
	dr.d.mu.Lock()
	defer dr.d.mu.Unlock()
	return dr.d.holdersLocked(func(c *conn, w word) bool { return !w.drained() && dr.concerns(c) })
}

// blame describes who held on until the timeout: those of these connections that are
// still in the same period, or everything met so far if none is.
func (dr *drain) blame(holding map[*conn]word) []Holder {
	dr.d.mu.Lock()
	defer dr.d.mu.Unlock()
	still := dr.d.holdersLocked(func(c *conn, w word) bool {
		period, ok := holding[c]
		return ok && !w.drained() && w.period() == period
	})
	if len(still) == 0 {
		return dr.frozen.Holders
	}
	return still
}

func (dr *drain) heldBy(holders []Holder) *HeldError {
	return &HeldError{Path: dr.d.Path(), Waited: time.Since(dr.start), Attempts: dr.frozen.Attempts, Holders: holders}
}

// mergeHolders adds to all those of more that differ from each in it by kind, query or
// process, and sorts them.
func mergeHolders(all, more []Holder) []Holder {
next:
	for _, h := range more {
		for i := range all {
			if all[i].Kind == h.Kind && all[i].Query == h.Query && all[i].PID == h.PID {
				all[i].For = max(all[i].For, h.For)
				continue next
			}
		}
		all = append(all, h)
	}
	return sortHolders(all)
}

// undrained returns the connections that the freeze still waits for, each with its
// current period; nil if there are none.
func (dr *drain) undrained() map[*conn]word {
	d := dr.d
	d.mu.Lock()
	defer d.mu.Unlock()
	var left map[*conn]word
	for c := range d.conns {
		if w := c.state.load(); !w.drained() && dr.concerns(c) {
			if left == nil {
				left = map[*conn]word{}
			}
			left[c] = w.period()
		}
	}
	return left
}

// concerns reports whether the connection is to be drained.
func (dr *drain) concerns(c *conn) bool { return !dr.shared || c.dsn.Shared }
