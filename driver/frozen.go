package driver

import (
	"slices"
	"strings"
	"time"

	"hotswap/internal/door"
)

// Frozen is a database with every connection drained and closed, and the gate
// closed: nothing of the program touches its files until Thaw. (With WritesOnly,
// nothing of it writes.) It is for one goroutine.
type Frozen struct {
	// Connections is how many connections were closed.
	Connections int
	// Attempts is how often the gate was closed before all had drained.
	Attempts int
	// Holders are those that made an attempt fail.
	Holders []Holder
	// Generation is, after Thaw, the one that it has begun, or that goes on. By the
	// time that Thaw returns another one may have begun.
	Generation uint64

	db       *Database
	over     *overwriting // whoever froze may be in the way of; ends with the freeze
	closedAt time.Time    // when the first of the calls that wait now began to
	replaced bool
	forgives bool
	thawed   bool
	adopts   bool     // as of FreezeOptions
	lost     []string // schemas of which a connection had some, that is in no file
	turn     bool     // it has one of the turns
}

// overwrites has calls that get SQLITE_BUSY wait for the end of the freeze.
func (f *Frozen) overwrites() {
	f.over = f.db.overwriting.begin()
}

// Replaced says that another file is at the path now: Thaw will begin a new
// generation and run the OnSwap callbacks.
func (f *Frozen) Replaced() { f.replaced = true }

// ForgiveReplay says that nobody looked whether connections can be told again, with
// the new file, what they were told by SQL text: what can't be, since it is gone or
// does not fit, is left out then with a line in the log, rather than that every call
// of such a connection fails. It holds until the next swap.
func (f *Frozen) ForgiveReplay() { f.forgives = true }

// Thaw opens the gate: calls resume, each reopening its connection. It returns
// the pause, from gate closed to gate open, as the longest waiting call felt
// it. Callbacks have run when it returns. What is to come once calls flow, and before
// the callbacks are waited for, is done by opened: they may need what it gives back.
// A second Thaw does nothing.
func (f *Frozen) Thaw(opened ...func()) (pause time.Duration) {
	if f.thawed {
		return 0
	}
	f.thawed = true
	d := f.db
	external := d.arrive(f.replaced)
	if f.replaced = f.replaced || external; f.replaced {
		d.forgives.Store(f.forgives)
		f.Generation = d.generation.Add(1)            // before any call can see the new file,
		door.Expect(d.Path(), d.watch.known().last()) // be it of another database's
	} else {
		f.Generation = d.generation.Load()
	}
	f.open()
	var told <-chan struct{}
	now := time.Now()
	pause = now.Sub(f.closedAt)
	if f.replaced {
		d.mu.Lock()
		d.swaps++
		d.lastSwap, d.lastPause, d.maxPause = now, pause, max(d.maxPause, pause)
		d.mu.Unlock()
		if external {
			d.warnReplaced(pause)
		}
		told = d.tell(Swap{Path: d.Path(), Generation: f.Generation, Pause: pause, External: external})
	}
	if len(f.lost) > 0 {
		slices.Sort(f.lost)
		d.warn().Str("schemas", strings.Join(slices.Compact(f.lost), ", ")).
			Msg("connections with TEMP tables or in-memory databases were closed: the content of those is lost")
	}
	f.end()
	for _, do := range opened {
		do()
	}
	if told != nil && !f.adopts {
		<-told
	}
	return pause
}

// open lets calls flow again.
func (f *Frozen) open() {
	f.db.mu.Lock()
	f.db.frozen = false
	f.db.mu.Unlock()
	f.over.finish()
	f.db.openGate(nil)
	f.endTurn()
}

func (f *Frozen) end() {
	f.db.gateLog.Store(nil)
	f.db.draining.Store(false)
	f.db.freezing.Unlock()
	f.db.letGo()
}

func (d *Database) setFrozen() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.frozen = true
}

func (d *Database) isFrozen() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.frozen
}
