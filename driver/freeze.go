package driver

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"hotswap/internal/door"
)

// FreezeOptions are the settings of [Database.Freeze]; the zero value works.
type FreezeOptions struct {
	// Timeout bounds the wait for holds to end; 0 means 30 s.
	Timeout time.Duration
	// MaxPause bounds the window of one attempt, during which new calls wait;
	// 0 means 1 s. The first window is 5 ms, and each is twice the last.
	MaxPause time.Duration
	// Force, at the timeout, interrupts running calls, closes Rows and rolls
	// transactions back; their owners get ErrForced. A function of the program's
	// that SQL calls can't be interrupted.
	Force bool
	// WritesOnly keeps only writes and new transactions waiting, and closes no
	// connection: reads go on. It is for who writes a new content through SQLite
	// in WAL mode. Freeze waits for open transactions to end, MaxPause at most,
	// and returns no HeldError: those that are left read the old content to their
	// end. Until Thaw a call that gets SQLITE_BUSY all the same waits, and is made
	// again; within a transaction that has read an old content which is gone then,
	// it gets SQLITE_BUSY after all, as from any other writer.
	WritesOnly bool
	// InTurn has the freeze wait, before it closes the gate and with calls flowing,
	// until few enough other databases of the program have theirs closed by such a
	// freeze: as many as there are processors, 2 at least and 8 at most. Pushes do
	// so. It is not for who freezes another database meanwhile.
	InTurn bool
	// CloseShared, with WritesOnly, drains and closes the connections with
	// cache=shared, as Freeze does with all if WritesOnly is not set. They share one
	// snapshot, which lasts as long as any of them reads.
	CloseShared bool
	// Logger gets a line for every call that is queued and that resumes, unless
	// the driver has a logger of its own.
	Logger *zerolog.Logger
	// Notify, if set, is called as the freeze goes on. It runs while calls
	// wait: it must return at once, and must not use the database.
	Notify func(FreezeEvent)

	adopts bool // moves to a file that something else put there
}

// FreezeEvent is one step of a freeze.
type FreezeEvent struct {
	Step FreezeStep
	// Count is the number of holds at FreezeWaiting, and of connections at
	// FreezeClosed.
	Count int
	// Window is how long the gate stays closed at most, at FreezeGateClosed.
	Window time.Duration
	// Holders are those that did not let go, at FreezeGateReopened.
	Holders []Holder
}

// FreezeStep names a step of a freeze.
type FreezeStep int

const (
	FreezeWaiting      FreezeStep = iota // looked at what is held; once, at first
	FreezeGateClosed                     // an attempt begins
	FreezeGateReopened                   // it failed
	FreezeClosed                         // it succeeded: every connection is closed
	FreezeWritesWait                     // with WritesOnly: writes wait from now on
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

// Freeze drains the database: new calls wait in the driver, what is under way
// ends, and every SQLite connection is closed. It is the maintenance window in
// which a swap replaces the file; a program may use it for its own. The last
// SQLite connection to close checkpoints and removes the WAL, if no other
// process has the database open.
//
// It waits in attempts so that a long hold delays the freeze and not the calls:
// the gate closes for a short window, and opens again if something did not end
// in it. Then nothing waits until those holds have ended, and the next attempt
// begins the moment they have.
//
// It returns a *HeldError at the timeout, ErrFreezing if another freeze is in
// progress (or, with InTurn, those of others left it no turn), and ctx.Err() if ctx ends first; then calls flow as before. After
// nil, Thaw must be called.
func (d *Database) Freeze(ctx context.Context, opts FreezeOptions) (*Frozen, error) {
	if opts.Timeout <= 0 {
		opts.Timeout = 30 * time.Second
	}
	if opts.MaxPause <= 0 {
		opts.MaxPause = time.Second
	}
	if opts.Notify == nil {
		opts.Notify = func(FreezeEvent) {}
	}
	if !d.freezing.TryLock() {
		if d.refusing() {
			return nil, ErrReplaced
		}
		return nil, ErrFreezing
	}
	if !opts.adopts && d.isTelling() { // by a callback itself, maybe, for which it would wait
		d.freezing.Unlock()
		return nil, ErrFreezing
	}
	d.keep()
	d.draining.Store(true)
	d.gateLog.Store(opts.Logger)
	f := &Frozen{db: d, adopts: opts.adopts}
	dr := drain{d: d, opts: opts, start: time.Now(), frozen: f, scarce: descriptorsMayRunOut()}
	succeeded := false
	defer func() {
		if !succeeded { // an error, or a panic of Notify
			f.open()
			f.end()
		}
	}()
	if opts.WritesOnly {
		if opts.CloseShared {
			if err := dr.closeShared(ctx); err != nil {
				return nil, err
			}
		}
		f.overwrites()
		if err := dr.writers(ctx); err != nil {
			return nil, err
		}
	} else {
		if err := dr.run(ctx); err != nil {
			return nil, err
		}
		if err := d.mayLeave(); err != nil {
			return nil, err
		}
		f.Connections = dr.killed + dr.closeAll()
		d.setFrozen()
		f.overwrites() // connections of other databases that have this one attached
		opts.Notify(FreezeEvent{Step: FreezeClosed, Count: f.Connections})
	}
	succeeded = true
	return f, nil
}

// Freezing reports whether a Freeze waits for the database, or holds it.
func (d *Database) Freezing() bool { return d.draining.Load() }

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
			Msg("connections that had TEMP tables or databases in memory were closed: what was in those is lost")
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

// closeAll closes the SQLite connections, all drained, one after another: of
// two that close at once neither may be the last one, which has to remove the
// WAL. While it does nothing is locked.
func (dr *drain) closeAll() int {
	d := dr.d
	d.mu.Lock()
	all := make([]*conn, 0, len(d.conns))
	for c := range d.conns {
		if dr.concerns(c) {
			all = append(all, c)
		}
	}
	d.mu.Unlock()
	slices.SortFunc(all, func(a, b *conn) int { return cmp.Compare(a.number, b.number) }) // what is done follows from nothing but the program
	var each, shared int
	if dr.scarce {
		each, shared = descriptorsOf(d.Path())
	}
	var closed []*conn
	for _, c := range all {
		c.mu.Lock()
		if !c.closed {
			dr.frozen.lost = append(dr.frozen.lost, c.losing()...)
		}
		inner := c.detach()
		if !c.closed {
			w := c.state.load()
			c.state.mustSwap(w, w.with(stateFrozen))
		}
		byPool := c.closing // at the same time
		c.mu.Unlock()
		if inner != nil {
			closed = append(closed, c)
			c.closeSQLite(inner)
			c.keepDescriptors(each)
		}
		if byPool != nil {
			<-byPool
		}
	}
	for _, c := range closed {
		c.keepDescriptors(each) // SQLite keeps some until the last of a file's locks is gone
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(closed) > 0 {
		d.reserve.take(shared)
	}
	return len(closed)
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
