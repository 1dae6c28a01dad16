package driver

import (
	"slices"
	"sync"
	"time"
)

// overwriting is a time during which a connection that is not the program's may hold
// SQLite's locks: new content is being written in place, possibly for longer than a
// busy timeout, or a push is looking at the database.
type overwriting struct {
	of    *overwritings
	ended chan struct{}
	end   time.Time // valid once ended is closed
}

func (o *overwriting) over() bool {
	select {
	case <-o.ended:
		return true
	default:
		return false
	}
}

// finish ends it. A second call does nothing; both come from one goroutine.
func (o *overwriting) finish() {
	if o == nil || o.over() {
		return
	}
	o.of.mu.Lock()
	defer o.of.mu.Unlock()
	o.of.running = slices.DeleteFunc(o.of.running, func(r *overwriting) bool { return r == o })
	o.of.last = o
	o.end = time.Now()
	close(o.ended)
}

type overwritings struct {
	mu      sync.Mutex // a leaf
	running []*overwriting
	last    *overwriting // that ended
}

func (all *overwritings) begin() *overwriting {
	o := &overwriting{of: all, ended: make(chan struct{})}
	all.mu.Lock()
	defer all.mu.Unlock()
	all.running = append(all.running, o)
	return o
}

// Load returns the earliest of those in progress; if there is none, the one that ended
// last, and nil if there never was one.
func (all *overwritings) Load() *overwriting {
	all.mu.Lock()
	defer all.mu.Unlock()
	if len(all.running) > 0 {
		return all.running[0]
	}
	return all.last
}
