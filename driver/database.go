package driver

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"hotswap/internal/reserve"
)

// Database is one managed database file: managed from sql.Open on, until the
// last pool that has it is closed. Several sql.DB on one file share it.
type Database struct {
	// path changes only while nothing of the database is open.
	path       atomic.Pointer[string]
	generation atomic.Uint64
	waiting    atomic.Int64
	refs       int            // guarded by registry
	name       string         // the latest of names, also when it has gone; guarded by registry
	names      map[string]int // by which pools have it, as they were given; guarded by registry
	unguard    func()         // at the door, while refs is not 0; guarded by registry
	// drv is the latest pool's driver that has hooks or extensions, for OpenFile.
	drv atomic.Pointer[Driver]
	// forgives is set after a swap of which it was not rehearsed how connections open.
	forgives atomic.Bool

	writers writerQueue
	// damage is what a call has met first; nil if none has.
	damage atomic.Pointer[damage]

	// freezing is held by the one Freeze that waits for or holds the database.
	freezing sync.Mutex
	draining atomic.Bool // one does; for who must not try
	// drainage gets a value, at most one, whenever a connection drains.
	drainage chan struct{}
	// first has room for one: the connection that is the first to open a file.
	first chan struct{}
	// filter says, while it is set, that marked connections may be used by the
	// calls that it does not stop.
	filter atomic.Pointer[filter]
	// looks is how often it was looked whether the file was replaced.
	looks       atomic.Uint64
	watch       watch
	overwriting overwritings
	// gateLog is the logger of the freeze in progress, for queued calls.
	gateLog atomic.Pointer[zerolog.Logger]

	// mu guards what follows.
	mu        sync.Mutex
	conns     map[*conn]struct{}
	added     uint64             // how many there have been
	pools     map[*kind]struct{} // those that are open, by how they open connections
	shut      bool               // new connections wait
	reopened  chan struct{}      // closed, and made anew, whenever waiting calls should look again
	frozen    bool
	swaps     uint64
	lastSwap  time.Time
	lastPause time.Duration
	maxPause  time.Duration
	sightings map[*conn]sighting
	callbacks map[int]func(Swap)
	untold    []untold // swaps of which the callbacks are to be told
	telling   bool     // a goroutine is about it
	nextID    int
	forced    forcedOut
	reserve   reserve.Reserve // for what the first connection opens for all
}

func newDatabase(path string) *Database {
	d := &Database{
		names:     map[string]int{},
		writers:   newWriterQueue(),
		drainage:  make(chan struct{}, 1),
		first:     make(chan struct{}, 1),
		conns:     map[*conn]struct{}{},
		reopened:  make(chan struct{}),
		sightings: map[*conn]sighting{},
		callbacks: map[int]func(Swap){},
	}
	d.path.Store(&path)
	d.generation.Store(1)
	return d
}

// Path returns the real path of the file. It changes if the database was opened
// by a name with a symlink in it that is turned to another file.
func (d *Database) Path() string { return *d.path.Load() }

// Generation counts the databases that have been live at the path, from 1. It
// advances before the first call reaches a new file; of a content written in
// place, right after: the first calls may see it with the old number. What was
// read under a number is in no case older than that, but for what Rows and
// transactions read that were open before.
func (d *Database) Generation() uint64 { return d.generation.Load() }

// Stats returns the counters of this moment. It does not wait at the gate.
func (d *Database) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := Stats{
		Connections:  len(d.conns),
		Waiting:      int(d.waiting.Load()),
		Frozen:       d.frozen,
		Generation:   d.generation.Load(),
		Swaps:        d.swaps,
		LastSwap:     d.lastSwap,
		LastPause:    d.lastPause,
		LongestPause: d.maxPause,
	}
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

// warn logs: by the logger of the freeze in progress, if there is one.
func (d *Database) warn() *zerolog.Event {
	if log := d.gateLog.Load(); log != nil {
		return log.Warn().Str(fieldDatabase, d.Path())
	}
	return d.watch.warn(d.Path())
}

// add makes c one of the connections, once the gate is open.
func (d *Database) add(ctx context.Context, c *conn) error {
	var waited *wait
	for {
		d.mu.Lock()
		if f := d.filter.Load(); !d.shut && !(f != nil && f.shared && c.dsn.Shared) {
			if f != nil && f.stopsAny() {
				c.state.mark()
			}
			d.added++
			c.number = d.added
			d.conns[c] = struct{}{}
			d.mu.Unlock()
			waited.end()
			d.keep()
			return nil
		}
		reopened := d.reopened
		d.mu.Unlock()
		if d.refusing() {
			return ErrReplaced
		}
		if waited == nil {
			waited = d.beginWait(c, "connect")
		}
		if err := d.await(ctx, reopened); err != nil {
			return err
		}
	}
}

func (d *Database) remove(c *conn) {
	d.mu.Lock()
	_, ok := d.conns[c]
	delete(d.conns, c)
	delete(d.sightings, c)
	d.mu.Unlock()
	if ok {
		d.signal()
		d.letGo()
	}
}

// signal tells a waiting freeze that a connection has drained.
func (d *Database) signal() {
	select {
	case d.drainage <- struct{}{}:
	default:
	}
}

// The keys of log fields.
const (
	fieldDatabase = "database"
	fieldQuery    = "query"
	fieldTook     = "took"
)
