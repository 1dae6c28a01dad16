package driver

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"hotswap/internal/lognote"
)

// Swap describes a swap.
type Swap struct {
	// Path is the database's resolved real path.
	Path string `json:"path"`
	// Generation is the generation that the swap began.
	Generation uint64 `json:"generation"`
	// At is when calls flowed again.
	At time.Time `json:"at"`
	// Pause is how long the gate was closed for the swap; 0 for a file that was put
	// there while no connection was open.
	Pause time.Duration `json:"pause_ns"`
	// WritesOnly is set if only writes and new transactions waited, and reads went on: in
	// a push in place in WAL mode.
	WritesOnly bool `json:"writes_only,omitempty"`
	// External is set if something other than a swap replaced the file, and the
	// connections have moved to the one that is there now.
	External bool `json:"external,omitempty"`
}

// OnSwap calls fn after every swap: once calls flow again, and before the Push that
// made the swap returns, unless the callbacks take longer than 30 s: it then returns,
// and the log says so. fn is meant for dropping caches. Until fn has run, calls see
// the new file and a cache the old one; a cache that must never be stale tags its
// entries with the Generation read before the query that filled them. Callbacks run one
// after another, in order of registration, on a goroutine of the driver's. They may
// query the database; a Freeze while they run returns ErrFreezing, so one that never
// returns keeps the database from every further swap. A panic in one is logged and goes
// no further. cancel unregisters fn.
func (d *Database) OnSwap(fn func(Swap)) (cancel func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := d.nextID
	d.nextID++
	d.callbacks[id] = fn
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.callbacks, id)
	}
}

// notice is a swap that is to be reported to the OnSwap callbacks.
type notice struct {
	swap Swap
	done chan struct{}
}

// notify reports a swap to the OnSwap callbacks, one swap after another, all on one
// goroutine started for that: a callback may query, and what it waits for must not wait
// for it. The channel is closed when all have run.
func (d *Database) notify(s Swap) (done <-chan struct{}) {
	n := notice{s, make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notices = append(d.notices, n)
	if !d.notifying {
		d.notifying, d.notifyingSince = true, time.Now()
		go d.notifyAll()
	}
	return n.done
}

func (d *Database) notifyAll() {
	for {
		d.mu.Lock()
		n := d.notices[0]
		d.notices = d.notices[1:]
		var fns []func(Swap)
		for _, id := range slices.Sorted(maps.Keys(d.callbacks)) {
			fns = append(fns, d.callbacks[id])
		}
		d.mu.Unlock()
		for _, fn := range fns {
			d.call(fn, n.swap)
		}
		d.mu.Lock()
		d.notifying, d.notifyingSince = len(d.notices) > 0, time.Now() // before done is closed: the next swap may come at once
		more := d.notifying
		d.mu.Unlock()
		close(n.done)
		if !more {
			return
		}
	}
}

// call runs a callback, and recovers from a panic of it.
func (d *Database) call(fn func(Swap), s Swap) {
	defer func() {
		if p := recover(); p != nil {
			lognote.Send(d.warn().Str("panic", fmt.Sprint(p)), "an OnSwap callback panicked")
		}
	}()
	fn(s)
}

// onSwapPatience bounds a Thaw's wait for the callbacks.
var onSwapPatience = 30 * time.Second // a variable for tests

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

// errOnSwap is ErrFreezing for the callbacks that are running, or nil.
func (d *Database) errOnSwap() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.notifying {
		return nil
	}
	return fmt.Errorf("%w: the program's OnSwap callbacks of the last one have been running for %s",
		ErrFreezing, time.Since(d.notifyingSince).Truncate(time.Millisecond))
}
