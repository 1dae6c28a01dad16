package driver

import (
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/inside"
	"hotswap/internal/lognote"
	"hotswap/internal/peers"
)

// Frozen is a database with every connection drained and closed, and the gate closed:
// nothing in the program but its [Database.Attachers] touches its files until Thaw. It
// is not safe for concurrent use.
type Frozen struct {
	// Connections is how many connections were closed.
	Connections int
	// Attempts is how often the gate was closed until everything had drained.
	Attempts int
	// Holders are those that made an attempt fail.
	Holders []Holder
	// Peers are the other processes that took part (FreezeOptions.Peers). Thaw
	// completes them.
	Peers []Peer
	// OnSwapRuns is set by Thaw if OnSwap callbacks of the program have not returned.
	OnSwapRuns bool

	db       *Database
	over     *overwriting // by whoever froze, in the way of calls; ends with the freeze
	closedAt time.Time    // when the first of the calls now waiting began to
	// writesWait is when writes began to wait, if that was before closedAt.
	writesWait time.Time
	writesOnly bool // reads go on
	replaced   bool
	forgives   bool
	thawed     bool
	adopts     bool     // as of FreezeOptions
	lost       []string // schemas whose content, in no file, a closed connection had
	turn       turn
	arrived    peers.Inode
	others     *host // nil without FreezeOptions.Peers
}

// overwrites makes calls that get SQLITE_BUSY wait for the end of the freeze.
func (f *Frozen) overwrites() {
	f.over = f.db.overwriting.begin()
}

// Replaced records that another file is at the path now: Thaw will begin a new
// generation and run the OnSwap callbacks.
func (f *Frozen) Replaced() { f.replaced = true }

// Thaw opens the gate: calls resume, each reopening its connection. It returns the
// pause, from gate closed to gate open, as the longest-waiting call felt it. OnSwap
// callbacks have run when it returns, or have been running for 30 s. A second Thaw does
// nothing and returns 0.
func (f *Frozen) Thaw() (pause time.Duration) {
	f.thawThen(func(t inside.Thawed) { pause = t.Pause })
	return pause
}

// thawThen is Thaw, and calls opened once calls flow, before it waits for the callbacks.
func (f *Frozen) thawThen(opened func(inside.Thawed)) {
	if f.thawed {
		return
	}
	thawed, notified, log := f.thaw()
	opened(thawed)
	patient := time.Now().Add(onSwapPatience) // with the callbacks of all processes
	switch {
	case notified == nil:
	case f.adopts: // whoever adopts has no caller to tell, only the log
		go f.db.awaitOnSwap(notified, log)
	default:
		f.OnSwapRuns = !f.db.awaitOnSwap(notified, log)
	}
	if f.adopts {
		go f.noteBehind(patient)
		return
	}
	f.Peers = f.others.report(f.replaced, f.arrived, patient)
}

// thaw is Thaw, but does not wait for the callbacks; when they have run, notified, if it
// is not nil, is closed. log is the freeze's, if any.
func (f *Frozen) thaw() (thawed inside.Thawed, notified <-chan struct{}, log *zerolog.Logger) {
	f.thawed = true
	d := f.db
	external := d.arrive(f.replaced, f.adopts)
	if f.replaced = f.replaced || external; f.replaced {
		d.forgives.Store(f.forgives)
		thawed.Generation = d.generation.Add(1)       // before any call can see the new file,
		door.Expect(d.Path(), d.watch.known().last()) // also one of another database
	} else {
		thawed.Generation = d.generation.Load()
	}
	f.arrived = inode(fileid.Of(d.Path()))
	f.open()
	now := time.Now()
	f.others.thaw(f.replaced, f.arrived, f.forgives) // who wakes up may take the processor
	pause := now.Sub(f.closedAt)
	thawed.Pause, thawed.WritesPause = pause, pause
	if !f.writesWait.IsZero() {
		thawed.WritesPause = max(pause, now.Sub(f.writesWait))
	}
	if f.replaced {
		s := Swap{Path: d.Path(), Generation: thawed.Generation, At: now, Pause: pause, WritesOnly: f.writesOnly, External: external}
		d.mu.Lock()
		d.swappedLocked(s, thawed.WritesPause)
		d.mu.Unlock()
		if external {
			d.warnReplaced(pause)
		}
		notified = d.notify(s)
	}
	if len(f.lost) > 0 {
		slices.Sort(f.lost)
		d.warn().Str("schemas", strings.Join(slices.Compact(f.lost), ", ")).
			Msg("connections with TEMP tables or in-memory databases were closed: the content of those is lost")
	}
	log = d.gateLog.Load()
	f.end()
	return thawed, notified, log
}

// open lets calls flow again.
func (f *Frozen) open() {
	f.db.mu.Lock()
	f.db.frozen = false
	f.db.mu.Unlock()
	f.over.finish()
	f.db.openGate(nil)
	f.turn.end()
}

func (f *Frozen) end() {
	f.db.gateLog.Store(nil)
	f.db.draining.Store(false)
	f.db.freezing.Unlock()
	f.db.release()
}

// noteBehind waits for the peers that were led to another file, and logs who was not.
func (f *Frozen) noteBehind(patient time.Time) {
	var behind []string
	for _, p := range f.others.report(f.replaced, f.arrived, patient) {
		if p.Problem != "" {
			behind = append(behind, p.String()+" "+p.Problem)
		}
	}
	// Whether another file is there, not whether the database has moved to it by now: its
	// first call may have to see to that.
	if len(behind) > 0 && inode(fileid.Of(f.db.Path())) != f.others.file {
		lognote.Send(f.db.watch.warn(f.db.Path()).Str("processes", strings.Join(behind, "; ")),
			"the database file was replaced by something other than a swap, and not all processes that have the old one open have left it together with this one: what they write before they do is in the old one only")
	}
}
