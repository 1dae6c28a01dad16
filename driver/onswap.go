package driver

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"hotswap/internal/lognote"
)

// Swap tells an OnSwap callback what happened.
type Swap struct {
	// Path is the database's resolved real path.
	Path string
	// Generation is the generation that the swap began.
	Generation uint64
	// Pause is how long the gate was closed for the swap.
	Pause time.Duration
	// External is set if the file was replaced by something else than a swap,
	// and the connections have moved to what is there now.
	External bool
}

// OnSwap calls fn after every swap: once calls flow again, and before the Push
// that made the swap returns. It is for dropping caches. Until fn has run, calls
// see the new file and a cache the old one; a cache that must never be stale
// tags its entries with the Generation read before the query that filled them.
// Callbacks run one after another, in the order of registration; a panic is
// logged and goes no further. cancel takes fn off again.
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

// untold is a swap of which the OnSwap callbacks are to be told.
type untold struct {
	swap Swap
	told chan struct{}
}

// tell has the OnSwap callbacks told of a swap, one swap after another and each
// callback on the one goroutine that is made for it: a callback may query, and what
// it waits for must not wait for it. The channel is closed when all have run.
func (d *Database) tell(s Swap) (told <-chan struct{}) {
	u := untold{s, make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.untold = append(d.untold, u)
	if !d.telling {
		d.telling = true
		go d.tellAll()
	}
	return u.told
}

func (d *Database) tellAll() {
	for {
		d.mu.Lock()
		u := d.untold[0]
		d.untold = d.untold[1:]
		var fns []func(Swap)
		for _, id := range slices.Sorted(maps.Keys(d.callbacks)) {
			fns = append(fns, d.callbacks[id])
		}
		d.mu.Unlock()
		for _, fn := range fns {
			d.call(fn, u.swap)
		}
		d.mu.Lock()
		d.telling = len(d.untold) > 0 // before anybody can know: the next swap may come at once
		more := d.telling
		d.mu.Unlock()
		close(u.told)
		if !more {
			return
		}
	}
}

func (d *Database) call(fn func(Swap), s Swap) {
	defer func() {
		if p := recover(); p != nil {
			lognote.Send(d.warn().Str("panic", fmt.Sprint(p)), "an OnSwap callback panicked")
		}
	}()
	fn(s)
}

func (d *Database) isTelling() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.telling
}
