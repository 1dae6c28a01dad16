package driver

import (
	"context"
	"time"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/peers"
)

// In place a guest keeps its calls out of the host's way, as the host does with its own:
// in WAL mode its writes wait (hush); with a rollback journal its connections are closed,
// as for a rename. It need not do so: SQLite's locks keep what it does apart from what the
// host writes. So it goes on when it hears nothing, but stays until it is told what has come
// of it, or until the connection ends. With that it is settled: a host that is gone commits
// nothing any more. Whether it had, the guest can't know; a generation that began for
// nothing costs a cache, and one that did not begin leaves an old one in use.

// silence is the question of one who has asked nothing for too long.
const silence peers.Op = ""

// hush has writes wait, and waits until no transaction is open.
func (g *guest) hush(q question, most time.Duration) bool {
	g.dr.opts.MaxPause, g.dr.opts.Timeout, g.dr.opts.swap.CloseShared = most, most, true
	if err := g.dr.closeShared(q.ctx); err != nil {
		g.say(q, peers.Message{Op: peers.Busy, Why: err.Error()})
		return false
	}
	g.dr.frozen.overwrites()
	if g.dr.writers(q.ctx) != nil {
		return false
	}
	if (insider{g.d}).Unlocked(false) {
		g.say(q, peers.Message{Op: peers.Busy, Why: unlockedHere})
		return false
	}
	return g.say(q, peers.Message{Op: peers.Hushed, Holders: toWire(g.dr.frozen.Holders)})
}

// unlockedHere: see refuseUnlocked in package swapper.
const unlockedHere = "it has connections with immutable=1 or nolock=1, which would take a write in place for damage"

// shutDoor keeps the rest of the program from the path, for a rename. From a file that
// something else put there it is kept anyway.
func (g *guest) shutDoor(ctx context.Context) (open func(), err error) {
	if g.inPlace || g.adopts {
		return func() {}, nil
	}
	return door.Shut(ctx, g.d.Path())
}

// goOn lets calls flow while it is not known what the host will do.
func (g *guest) goOn() {
	g.lapse = nil
	if g.dr != nil {
		g.dr.giveUp()
		g.dr = nil
	}
	if f := g.frozen; f != nil {
		g.frozen = nil
		f.thaw()
		go g.d.reconnect()
	}
}

// thawInPlace is the regular end.
func (g *guest) thawInPlace(q question) {
	now := inode(fileid.Of(g.d.Path()))
	thawed := peers.Message{Op: peers.Thawed, File: now}
	if !q.Swapped || now != q.File {
		g.goOn()
		return
	}
	f := g.takeFrozen()
	if f == nil {
		var told <-chan struct{}
		thawed.Generation, told = g.d.overwritten()
		g.tell(q, thawed, told, nil)
		return
	}
	f.Replaced()
	if q.Forgive {
		f.forgives = true
	}
	flowing, told, log := f.thaw()
	thawed.Pause, thawed.Generation = flowing.Pause, flowing.Generation
	g.tell(q, thawed, told, log)
}

// takeFrozen ends the guest's part in the freeze, but for the thaw; nil if it has none.
func (g *guest) takeFrozen() (f *Frozen) {
	if f = g.frozen; f == nil && g.dr != nil {
		f = g.dr.frozen
	}
	g.frozen, g.dr = nil, nil
	return f
}

// leaveInPlace is the end of every other sort: the host is gone.
func (g *guest) leaveInPlace() {
	if g.over {
		return
	}
	f := g.takeFrozen()
	if f == nil {
		_, told := g.d.overwritten()
		g.d.awaitOnSwap(told, nil)
		return
	}
	f.Replaced()
	_, told, log := f.thaw()
	g.d.reconnect()
	g.d.awaitOnSwap(told, log)
}

// overwritten begins a generation for content that somebody has, or may have, written
// into the file while calls went on.
func (d *Database) overwritten() (generation uint64, told <-chan struct{}) {
	d.mu.Lock()
	generation = d.generation.Add(1)
	s := Swap{Path: d.Path(), Generation: generation, At: time.Now(), WritesOnly: true}
	d.swappedLocked(s, 0)
	d.mu.Unlock()
	return generation, d.notify(s)
}
