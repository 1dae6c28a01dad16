package driver

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"hotswap/internal/reserve"
)

// Database is one managed database file: managed from sql.Open until the last pool that
// has it is closed. Several sql.DB on one file share it.
type Database struct {
	// path changes only while nothing of the database is open.
	path       atomic.Pointer[string]
	generation atomic.Uint64
	waiting    atomic.Int64
	refs       int            // guarded by registry
	name       string         // the latest of names, kept after that is removed; guarded by registry
	names      map[string]int // under which pools have it, as they were given; guarded by registry
	unguard    func()         // removes the guard at the door; set while refs is not 0; guarded by registry
	// drv is the driver of the latest pool with hooks or extensions, for OpenFile.
	drv atomic.Pointer[Driver]
	// forgives is set after a swap that did not rehearse how connections open.
	forgives atomic.Bool
	// alone is set while the database has no peers, by WithPeers(false).
	alone atomic.Bool

	writers writerQueue
	// damage is the first that a call has met; nil if none has.
	damage atomic.Pointer[damage]

	// freezing is held by the one Freeze that waits for or holds the database.
	freezing sync.Mutex
	draining atomic.Bool // one does; for those that must not try the lock
	// drainage gets a value, at most one, whenever a connection drains.
	drainage chan struct{}
	// first has room for one: the connection that is the first to open a file.
	first chan struct{}
	// filter, while set, lets the calls that it does not stop use marked connections.
	filter atomic.Pointer[filter]
	// ticks counts the times that the file was checked for having been replaced.
	ticks atomic.Uint64
	watch watch
	// left is a WAL that a replaced file has left beside the one at the path; nil for
	// none. clearing is held by the one who puts it aside.
	left        atomic.Pointer[leftWAL]
	clearing    sync.Mutex
	overwriting overwritings
	// gateLog is the logger of the freeze in progress, for queued calls.
	gateLog atomic.Pointer[zerolog.Logger]

	// mu guards what follows.
	mu             sync.Mutex
	conns          map[*conn]struct{}
	added          uint64             // connections ever added
	pools          map[*kind]struct{} // the open ones, by how they open connections
	shut           bool               // new connections wait
	reopened       chan struct{}      // closed and replaced whenever waiting calls should look again
	frozen         bool
	counted        Stats  // of swaps; see swappedLocked
	last           []Swap // the latest of them, at most keptSwaps
	sightings      map[*conn]sighting
	callbacks      map[int]func(Swap)
	notices        []notice  // swaps that are to be reported to the callbacks
	notifying      bool      // a goroutine is reporting them
	notifyingSince time.Time // when it began with the latest
	nextID         int
	forced         forcedOut
	reserve        reserve.Reserve // for what the first connection opens for all of them
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

// Path returns the real path of the file. It changes if the database was opened by a
// name with a symlink that is then repointed to another file.
func (d *Database) Path() string { return *d.path.Load() }

// Generation counts the databases that have been live at the path, starting at 1. It
// advances before the first call reaches a new file. When new content is written in
// place, it advances right afterwards: the first calls may see the new content with the
// old number. Data read after a number was obtained is never older than that number,
// except through Rows and transactions that were already open.
func (d *Database) Generation() uint64 { return d.generation.Load() }

// warn begins a warning, on the logger of the freeze in progress if there is one.
func (d *Database) warn() *zerolog.Event { return d.warnOn(d.gateLog.Load()) }

func (d *Database) warnOn(log *zerolog.Logger) *zerolog.Event {
	if log != nil {
		return log.Warn().Str(fieldDatabase, d.Path())
	}
	return d.watch.warn(d.Path())
}

// add makes c one of the connections once the gate is open.
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
		d.release()
	}
}

// signal tells a waiting freeze that a connection has drained.
func (d *Database) signal() {
	select {
	case d.drainage <- struct{}{}:
	default:
	}
}

const (
	fieldDatabase = "database"
	fieldQuery    = "query"
)
