package driver

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/rs/zerolog"

	"hotswap/internal/fileid"
	"hotswap/internal/lognote"
	"hotswap/internal/peers"
	"hotswap/internal/unix"
)

// guest is a database in the freeze of another process, the host: it does what that says,
// and answers. It trusts the host for nothing. When that has gone, or is silent, the
// guest goes on alone with the file that is at its path. Of one that writes in place see
// guest_place.go.
type guest struct {
	d       *Database
	c       *peers.Conn
	inPlace bool
	adopts  bool          // the new file is there, put by something else
	over    bool          // thaw has been said
	in      chan question // closed at the connection's end

	interrupt func() // ends the latest question's ctx; hear has it

	dr      *drain         // from the first attempt on
	holding map[*conn]word // what the latest attempt left
	holders []Holder       // and how it is described
	lapse   <-chan time.Time
	frozen  *Frozen // from its close on
	door    func()  // opens the path to the rest of the program; set with frozen
}

// question is a message that is to be answered, if it can be before ctx ends: with the
// next one, or the connection.
type question struct {
	peers.Message
	ctx context.Context
}

// maxWindow bounds what a host may ask for.
const maxWindow = time.Minute

func (g *guest) run() {
	gone := make(chan struct{})
	go g.hear(gone)
	defer g.leave()
	defer close(gone)
	for {
		select {
		case q, ok := <-g.in:
			switch {
			case !ok:
				return
			case q.Op == silence:
				g.goOn()
			case !g.answer(q):
				if g.over || !g.inPlace {
					return
				}
				g.goOn()
			}
		case <-g.lapse:
			if !g.inPlace {
				return
			}
			g.goOn()
		}
	}
}

// hear passes on what the host says.
func (g *guest) hear(gone <-chan struct{}) {
	defer close(g.in)
	defer func() { g.interrupt() }()
	for {
		m, err := g.c.Receive(peers.Silence)
		if g.inPlace && errors.Is(err, os.ErrDeadlineExceeded) {
			m, err = peers.Message{Op: silence}, nil
		}
		if err != nil {
			return
		}
		if m.Op == peers.Still {
			continue
		}
		g.interrupt()
		q := question{Message: m}
		q.ctx, g.interrupt = context.WithCancel(context.Background())
		select {
		case g.in <- q:
		case <-gone:
			return
		}
	}
}

// answer does what is asked for; it returns false if that is the end.
func (g *guest) answer(q question) (goOn bool) {
	g.lapse = nil
	if g.dr == nil && q.Op != peers.Thaw {
		dr, err := g.d.beginDrain(FreezeOptions{MaxPause: maxWindow, Timeout: maxWindow, adopts: g.adopts})
		if err != nil {
			return g.say(q, peers.Message{Op: peers.Busy, Why: err.Error()})
		}
		g.dr = dr
	}
	if g.frozen != nil && q.Op != peers.Thaw {
		return false
	}
	window := min(max(q.For, time.Millisecond), maxWindow)
	if g.dr != nil {
		g.dr.start = time.Now() // its timeout is of this step
		g.dr.opts.Timeout = 2 * maxWindow
	}
	switch q.Op {
	case peers.Shut:
		g.dr.frozen.closedAt = time.Now()
		g.d.shutGate()
		return g.attempted(q, g.dr.drained(q.ctx, window), window)
	case peers.Force:
		g.dr.opts.MaxPause = window
		return g.attempted(q, g.dr.force(q.ctx), window)
	case peers.Filter:
		return g.filter(q, window)
	case peers.Open:
		g.d.openGate(g.holding)
		g.dr.opts.Timeout = 24 * time.Hour // as long as the host stays
		if g.dr.wait(q.ctx, g.dr.opts.Timeout, g.holding, !q.Long) != nil {
			return true
		}
		return g.say(q, peers.Message{Op: peers.Rested})
	case peers.Hush:
		return g.hush(q, window)
	case peers.Close:
		return g.close(q)
	case peers.Thaw:
		g.thaw(q)
	}
	return false
}

func (g *guest) say(q question, m peers.Message) bool {
	m.N = q.N
	return g.c.Send(m) == nil
}

// attempted tells how an attempt ended. If it failed the gate is open again.
func (g *guest) attempted(q question, err error, window time.Duration) bool {
	if err == nil {
		g.holding, g.holders = nil, nil
		g.lapse = time.After(window + lapsePatience)
		return g.say(q, peers.Message{Op: peers.Drained})
	}
	g.holding, g.holders = g.dr.undrained(), g.dr.holders()
	g.d.openGate(g.holding)
	if q.ctx.Err() != nil {
		return true
	}
	return g.say(q, peers.Message{Op: peers.Held, Holders: toWire(g.holders)})
}

// filter lets calls through but for those that would make the same holds again, until
// these have ended.
func (g *guest) filter(q question, most time.Duration) bool {
	g.d.filterGate(newFilter(g.holders))
	g.holding = g.dr.undrained()
	err := g.dr.wait(q.ctx, most, g.holding, false)
	g.lapse = time.After(most + lapsePatience)
	switch {
	case err != nil:
		return true
	case g.dr.anyHeld(g.holding):
		g.holding, g.holders = g.dr.undrained(), g.dr.holders()
		return g.say(q, peers.Message{Op: peers.Held, Holders: toWire(g.holders)})
	}
	return g.say(q, peers.Message{Op: peers.Ready})
}

// close closes the connections. Who holds something by now, or whose gate was opened
// meanwhile, can't be closed.
func (g *guest) close(q question) bool {
	if !g.d.isShut() || g.dr.undrained() != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(q.ctx, lapsePatience)
	defer cancel()
	shut, err := g.shutDoor(ctx)
	if err != nil {
		return false
	}
	dr := g.dr
	g.dr = nil // an error of close gives it up
	if g.frozen, err = dr.close(); err != nil {
		shut()
		g.say(q, peers.Message{Op: peers.Busy, Why: err.Error()})
		return false
	}
	g.door = shut
	return g.say(q, peers.Message{Op: peers.Closed, Connections: g.frozen.Connections})
}

// thaw is the regular end.
func (g *guest) thaw(q question) {
	g.over = true
	if g.inPlace {
		g.thawInPlace(q)
		return
	}
	if g.frozen == nil {
		return // an attempt that came to nothing
	}
	f := g.frozen
	if q.Swapped && !g.adopts && inode(fileid.Of(g.d.Path())) == q.File {
		f.Replaced()
		if q.Forgive {
			f.forgives = true
		}
	}
	g.frozen = nil
	g.door()
	thawed, told, log := f.thaw()
	g.tell(q, peers.Message{Op: peers.Thawed, File: f.arrived, Pause: thawed.Pause, Generation: thawed.Generation}, told, log)
}

// tell says that calls flow again, and when the OnSwap callbacks, if there are any, have
// run.
func (g *guest) tell(q question, thawed peers.Message, told <-chan struct{}, log *zerolog.Logger) {
	g.say(q, thawed)
	go g.d.reconnect()
	if told != nil {
		go g.d.awaitOnSwap(told, log)
		select {
		case <-told:
		case <-q.ctx.Done():
			return
		}
	}
	g.say(q, peers.Message{Op: peers.Told})
}

// leave is the end of every other sort.
func (g *guest) leave() {
	g.c.Close()
	if g.inPlace {
		g.leaveInPlace()
		return
	}
	if g.dr != nil {
		g.dr.giveUp()
		return
	}
	if g.frozen == nil {
		return
	}
	if !g.adopts {
		g.awaitFile()
	}
	g.door()
	if _, told, log := g.frozen.thaw(); told != nil {
		go g.d.awaitOnSwap(told, log)
	}
	g.d.reconnect()
}

// awaitFile waits until the file at the path can be opened: a host that was stopped may
// still have a lease on it, and an open would wait for that in a system call. Nothing in
// this process has it open, so that to close it drops nobody's locks. The kernel ends a
// lease that somebody waits for, after /proc/sys/fs/lease-break-time.
func (g *guest) awaitFile() {
	for began, warned := time.Now(), false; ; time.Sleep(10 * time.Millisecond) {
		f, err := os.OpenFile(g.d.Path(), os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
		if err == nil {
			f.Close()
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return
		}
		if !warned && time.Since(began) > peers.Silence {
			warned = true
			lognote.Send(g.d.warn().Int("pid", g.c.Process.PID).Str("program", g.c.Process.Command()),
				"the process that is replacing the database file makes no progress: calls wait until it continues or is killed")
		}
	}
}
