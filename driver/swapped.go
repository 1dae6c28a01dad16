package driver

import (
	"slices"
	"time"

	"github.com/rs/zerolog"
)

// What a database knows and tells of its swaps.

// OnSwap calls fn after every swap: once calls flow again, and before the Push that
// made the swap returns, unless the callbacks take longer than 30 s: it then returns,
// and the log says so. fn is meant for dropping caches. Until fn has run, calls see
// the new file and a cache the old one; a cache that must never be stale tags its
// entries with the Generation read before the query that filled them. Callbacks run one
// after another, in order of registration, on a goroutine of the driver's. They may
// query the database; a Freeze while they run returns ErrFreezing, so one that never
// returns keeps the database from every further swap. A panic in one is logged and goes
// no further. cancel unregisters fn.
func (d *Database) OnSwap(fn func(Swap)) (cancel func()) { return d.callbacks.add(fn) }

// notify reports a swap to the callbacks; done is closed when all have run.
func (d *Database) notify(s Swap) (done <-chan struct{}) { return d.callbacks.notify(s, d.warn) }

// awaitOnSwap waits for the callbacks of a swap, onSwapPatience at most, and reports
// whether they have returned; log is that of its freeze, or nil.
func (d *Database) awaitOnSwap(done <-chan struct{}, log *zerolog.Logger) bool {
	patience := time.NewTimer(onSwapPatience)
	defer patience.Stop()
	select {
	case <-done:
		return true
	case <-patience.C:
		d.warnOn(log).Stringer("after", onSwapPatience).
			Msg("an OnSwap callback has not returned: the database can't be swapped again until it does")
		return false
	}
}

// swappedLocked counts a swap, in which writes may have waited for longer than its pause,
// and remembers it. The caller holds d.mu.
func (d *Database) swappedLocked(last Swap, writesPause time.Duration) {
	d.counted.count(last, writesPause)
	if len(d.last) == keptSwaps {
		d.last = append(d.last[:0], d.last[1:]...)
	}
	d.last = append(d.last, last)
}

// keptSwaps is how many swaps a database remembers.
const keptSwaps = 32

// LastSwaps returns the latest swaps, at most 32, oldest first.
func (d *Database) LastSwaps() []Swap {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.last)
}

// Stats returns the current counters. It does not wait at the gate.
func (d *Database) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.counted
	s.Connections, s.Waiting = len(d.conns), int(d.waiting.Load())
	s.Frozen, s.Generation = d.frozen, d.generation.Load()
	s.OnSwap = d.callbacks.runFor()
	for c := range d.conns {
		switch c.state.load().state() {
		case stateBusy:
			s.Busy++
		case stateHeld:
			s.Held++
		}
	}
	return s
}
