package driver

import (
	"slices"
	"sync"
	"time"
)

// overwriting is the time during which a connection that is not the program's may
// keep SQLite's locks from it: a new content is written in place, for longer than a
// busy timeout may last, or a push looks at the database.
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

// finish ends it. A second time does nothing; one goroutine does both.
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

// overwritings are those of a database.
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

// Load returns the one that began first of those that go on; if none does, the one
// that ended last, and nil if there was none.
func (all *overwritings) Load() *overwriting {
	all.mu.Lock()
	defer all.mu.Unlock()
	if len(all.running) > 0 {
		return all.running[0]
	}
	return all.last
}

// Visit is for who opens the database's file with a connection of its own for a
// moment: until ended is called, and that is once it is closed, a call that gets
// SQLITE_BUSY waits, and is made again then.
func (d *Database) Visit() (ended func()) {
	return d.overwriting.begin().finish
}
