package driver

import (
	"fmt"
	"maps"
	"slices"
	"sync"
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

// callbacks are those of OnSwap, and the swaps that are still to be reported to them.
type callbacks struct {
	mu      sync.Mutex // guards what follows; a leaf
	fns     map[int]func(Swap)
	nextID  int
	notices []notice
	running bool      // a goroutine is reporting them
	since   time.Time // when it began with the latest
}

// notice is a swap that is to be reported.
type notice struct {
	swap Swap
	done chan struct{}
}

func (cb *callbacks) add(fn func(Swap)) (cancel func()) {
	cb.mu.Lock()
	defer cb.mu.Unlock()
	id := cb.nextID
	cb.nextID++
	if cb.fns == nil {
		cb.fns = map[int]func(Swap){}
	}
	cb.fns[id] = fn
	return func() {
		cb.mu.Lock()
		defer cb.mu.Unlock()
		delete(cb.fns, id)
	}
}

// notify reports a swap to the callbacks, one after another, and one swap after another, on
// goroutines started for that: a callback may query, and what it waits for must not wait
// for it.
// The channel is closed when all have run. A panic of one is a warning.
func (cb *callbacks) notify(s Swap, warn func() *zerolog.Event) (done <-chan struct{}) {
	n := notice{s, make(chan struct{})}
	cb.mu.Lock()
	defer cb.mu.Unlock()
	cb.notices = append(cb.notices, n)
	if !cb.running {
		cb.running, cb.since = true, time.Now()
		go cb.run(warn)
	}
	return n.done
}

func (cb *callbacks) run(warn func() *zerolog.Event) {
	for {
		cb.mu.Lock()
		n := cb.notices[0]
		cb.notices = cb.notices[1:]
		var fns []func(Swap)
		for _, id := range slices.Sorted(maps.Keys(cb.fns)) {
			fns = append(fns, cb.fns[id])
		}
		cb.mu.Unlock()
		for _, fn := range fns {
			call(fn, n.swap, warn)
		}
		cb.mu.Lock()
		cb.running, cb.since = len(cb.notices) > 0, time.Now() // before done is closed: the next swap may come at once
		more := cb.running
		cb.mu.Unlock()
		close(n.done)
		if !more {
			return
		}
	}
}

// call runs a callback on a goroutine of its own, which that may end (runtime.Goexit), and
// recovers from a panic of it.
func call(fn func(Swap), s Swap, warn func() *zerolog.Event) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() {
			if p := recover(); p != nil {
				lognote.Send(warn().Str("panic", fmt.Sprint(p)), "an OnSwap callback panicked")
			}
		}()
		fn(s)
	}()
	<-ended
}

// runFor returns how long those that are running have been, since the first of them
// began; 0 if none is.
func (cb *callbacks) runFor() time.Duration {
	cb.mu.Lock()
	defer cb.mu.Unlock()
	if !cb.running {
		return 0
	}
	return max(time.Since(cb.since), 1)
}

// err is ErrFreezing while callbacks run, and nil otherwise.
func (cb *callbacks) err() error {
	took := cb.runFor()
	if took == 0 {
		return nil
	}
	return fmt.Errorf("%w: the program's OnSwap callbacks of the last one have been running for %s",
		ErrFreezing, took.Truncate(time.Millisecond))
}

// onSwapPatience bounds a Thaw's wait for the callbacks.
var onSwapPatience = 30 * time.Second // a variable for tests
