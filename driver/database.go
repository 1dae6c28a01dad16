package driver

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"hotswap/internal/dsn"
	"hotswap/internal/reserve"
	"hotswap/internal/session"
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
	recent  recentTexts
	altered atomic.Uint64 // counts texts that may have changed a schema
	several atomic.Bool   // there was more than one connection: a writer may meet another
	damages damages       // that calls have met

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
	gateLog   atomic.Pointer[zerolog.Logger]
	callbacks callbacks // of OnSwap

	// mu guards what follows.
	mu        sync.Mutex
	conns     map[*conn]struct{}
	added     uint64             // connections ever added
	pools     map[*kind]struct{} // the open ones, by how they open connections
	shut      bool               // new connections wait
	reopened  chan struct{}      // closed and replaced whenever waiting calls should look again
	frozen    bool
	counted   Stats  // of swaps; see swappedLocked
	last      []Swap // the latest of them, at most keptSwaps
	sightings map[*conn]sighting
	forced    forcedOut
	reserve   reserve.Reserve // for what the first connection opens for all of them
}

// insider is a Database with the methods that only package swapper needs, each beside
// what it is about. Their docs are at inside.Database.
type insider struct{ *Database }

func newDatabase(path string) *Database {
	d := &Database{
		names:     map[string]int{},
		writers:   writerQueue{patience: queuePatience},
		drainage:  make(chan struct{}, 1),
		first:     make(chan struct{}, 1),
		conns:     map[*conn]struct{}{},
		reopened:  make(chan struct{}),
		sightings: map[*conn]sighting{},
	}
	d.path.Store(&path)
	d.generation.Store(1)
	return d
}

// forcedOut is what a forced freeze has ended.
type forcedOut struct {
	connections int
	lost        []string // as in Frozen
}

func (d *Database) noteForced(lost []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forced.connections++
	d.forced.lost = append(d.forced.lost, lost...)
}

// takeForced returns what was ended since the last time.
func (d *Database) takeForced() forcedOut {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := d.forced
	d.forced = forcedOut{}
	return taken
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

// Damage returns the first error of the current generation with which SQLite reported a
// damaged file ("database disk image is malformed", "file is not a database" or the
// like), and when; "" if there was none. The damaged file may be an attached one.
func (d *Database) Damage() (text string, at time.Time) {
	return d.damages.of(d.Generation())
}

// warn begins a warning, on the logger of the freeze in progress if there is one.
func (d *Database) warn() *zerolog.Event { return d.warnOn(d.gateLog.Load()) }

func (d *Database) warnOn(log *zerolog.Logger) *zerolog.Event {
	if log != nil {
		return log.Warn().Str(fieldDatabase, d.Path())
	}
	return d.watch.warn(d.Path())
}

// connections returns those of the pools, in the order in which they were added.
func (d *Database) connections() []*conn {
	d.mu.Lock()
	all := slices.Collect(maps.Keys(d.conns))
	d.mu.Unlock()
	slices.SortFunc(all, func(a, b *conn) int { return cmp.Compare(a.number, b.number) })
	return all
}

// kind is one way of opening connections of the database.
type kind struct {
	drv      *Driver
	dsn      *dsn.Name
	settings []session.Setting
}

// special reports whether such a connection may fail to open where a plain one does
// not.
func (k *kind) special() bool {
	return k.drv.sqlite.ConnectHook != nil || len(k.drv.sqlite.Extensions) > 0 || len(k.settings) > 0
}

func (k *kind) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%p %s", k.drv, k.dsn.Raw)
	for _, o := range k.settings {
		fmt.Fprintf(&b, "\n%s %v", o.Query, o.Args)
	}
	return b.String()
}

// addPool records that a pool opens connections of this kind, until it is closed.
func (d *Database) addPool(drv *Driver, dsn *dsn.Name) (remove func()) {
	k := &kind{drv: drv, dsn: dsn}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pools == nil {
		d.pools = map[*kind]struct{}{}
	}
	d.pools[k] = struct{}{}
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.pools, k)
	}
}
