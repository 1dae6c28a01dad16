package driver

import (
	"context"
	"errors"
	"sync"
	"time"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/lognote"
)

// adoption is one move of a database's connections to a file that something else
// put at its path; or a look that there is none. It has a goroutine of its own: a
// caller's may hold Rows that the move has to wait for, or the pool's only
// connection, which an OnSwap callback asks for.
type adoption struct {
	begun chan struct{} // closed when calls wait for it at the gate, or it has ended
	ended chan struct{}
}

// adopt begins an adoption, if none is under way.
func (d *Database) adopt() *adoption {
	w := &d.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if a := w.adoption; a != nil {
		return a
	}
	a := &adoption{begun: make(chan struct{}), ended: make(chan struct{})}
	if !d.usedLocked() && !w.refused {
		close(a.begun)
		close(a.ended)
		return a
	}
	w.adoption = a
	go d.runAdoption(a)
	return a
}

func (d *Database) runAdoption(a *adoption) {
	begin := sync.OnceFunc(func() { close(a.begun) })
	defer func() {
		d.watch.mu.Lock()
		d.watch.adoption = nil
		d.watch.mu.Unlock()
		close(a.ended)
		begin()
	}()
	w := &d.watch
	w.mu.Lock()
	refused, refuses := w.refused, w.refuses
	w.mu.Unlock()
	if refused {
		d.reconsider()
		return
	}
	if !d.moved() {
		return
	}
	defer d.Keep()()
	if refuses {
		d.refuse()
		return
	}
	if !d.becomesReady() {
		return
	}
	d.move(begin)
}

// move closes the connections, those of other databases that have the old file
// attached among them, and lets them reopen on the file that is at the path now.
func (d *Database) move(begin func()) {
	attachers := d.Attachers()
	if d.pushing() {
		return // it has the old file open, and comes to its end when it sees this one
	}
	if strangers := d.strangers(); strangers > 0 {
		d.keepOut(d.Path(), fileid.Of(d.Path()), "the program has the old file open outside this driver")
		return
	}
	if len(attachers) > 0 {
		begin() // theirs may take long
	}
	for _, other := range attachers {
		frozen, err := other.Freeze(context.Background(), FreezeOptions{Timeout: adoptTimeout, Force: true, adopts: true})
		if errors.Is(err, ErrFreezing) {
			return // the next look comes
		}
		if err != nil {
			d.cantLeave(err)
			return
		}
		defer frozen.Thaw()
	}
	opts := FreezeOptions{Timeout: adoptTimeout, Force: true, adopts: true,
		Notify: func(e FreezeEvent) {
			if e.Step == FreezeGateClosed {
				begin()
			}
		}}
	frozen, err := d.Freeze(context.Background(), opts)
	if errors.Is(err, ErrFreezing) {
		return // who freezes it closes the connections, and that is all there is to it
	}
	if err != nil {
		d.cantLeave(err)
		return
	}
	frozen.Thaw()
}

func (d *Database) cantLeave(err error) {
	lognote.Send(d.watch.warn(d.Path()).Err(err), "the database file was replaced by something other than a swap, but the connections can't leave the old one yet")
}

// refuse has new calls fail.
func (d *Database) refuse() {
	if !d.freezing.TryLock() {
		return // the next look comes
	}
	w := &d.watch
	w.mu.Lock()
	w.refused = true
	w.mu.Unlock()
	d.shutGate()
	d.mu.Lock()
	d.wakeLocked() // who waits is refused, too
	d.mu.Unlock()
	lognote.Send(w.warn(d.Path()), "the database file was replaced by something other than a swap: calls are refused until the old one is back")
}

// reconsider ends a refusal if the old file is back.
func (d *Database) reconsider() {
	w := &d.watch
	now := fileid.Of(d.Path())
	_, turned := d.turnedTo()
	w.mu.Lock()
	back := w.refused && now == w.file && !turned
	if back {
		w.refused = false
	}
	w.mu.Unlock()
	if !back {
		return
	}
	d.openGate(nil)
	d.freezing.Unlock()
	lognote.Send(w.warn(d.Path()), "the database file is back at its path: calls are accepted again")
}

// awaitGate is a connection's first use after it idled: if another file is at the
// path it waits, not for the move to that, which may have to wait for what the
// caller itself holds, but until calls wait for it at the gate.
func (d *Database) awaitGate(ctx context.Context) {
	// One that is under way may have looked before the file was put there.
	for range 2 {
		if !d.moved() {
			return
		}
		a := d.adopt()
		select {
		case <-a.begun:
		case <-ctx.Done():
			return
		}
		select {
		case <-a.ended:
		default:
			return
		}
	}
}

// mayLeave refuses to close the connections, all drained, for what is at the path,
// if that is another file and can't be opened in its stead.
func (d *Database) mayLeave() error {
	if !d.moved() {
		return nil
	}
	path := d.Path()
	if turned, ok := d.turnedTo(); ok {
		path = turned
	}
	if ready, why, _ := d.ready(path, fileid.Of(path)); !ready {
		return &replacedError{path, why}
	}
	return nil
}

// arrive is the end of a freeze, with no connection open: it notes which file is
// at the path, and reports whether something else than a swap has put it there.
func (d *Database) arrive(swapped bool) (external bool) {
	if turned, ok := d.turnedTo(); ok && !swapped && d.watch.idle() && door.File(d.Path()) == fileid.None {
		if ready, _, _ := d.ready(turned, fileid.Of(turned)); !ready || d.moveTo(turned) != nil {
			return false
		}
	}
	path := d.Path()
	now := fileid.Of(path)
	w := &d.watch
	was := w.known().file
	if !w.idle() || now == fileid.None || !swapped && (was == fileid.None || was == now) {
		return false
	}
	if !swapped {
		// What is not whole yet the first call looks at again, as long as it may wait.
		if ready, _, _ := d.ready(path, now); !ready {
			return false
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file != was {
		return false // who attaches it has admitted it
	}
	w.file, w.warning, w.seen = now, "", sight{}
	return !swapped
}

func (w *watch) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open == 0
}

// announce tells of a file that was put there while no connection was open, if one was.
func (d *Database) announce(s *Swap) {
	if s == nil {
		return
	}
	d.mu.Lock()
	d.swaps++
	d.lastSwap, d.lastPause = time.Now(), 0
	d.mu.Unlock()
	d.warnReplaced(0)
	d.tell(*s)
}

func (d *Database) warnReplaced(pause time.Duration) {
	lognote.Send(d.watch.warn(d.Path()).Uint64("generation", d.Generation()).Dur("pause", pause), "the database file was replaced by something other than a swap: all connections now use the new one")
}

// openFirst is for connections whose DSN sets a journal mode. It lets one alone be
// the first on a file, while others wait: to convert a file that is not in that
// mode yet it needs the file to itself. It returns the end of that.
func (d *Database) openFirst(ctx context.Context, patience time.Duration) (opened func()) {
	if !d.watch.idle() {
		return func() {}
	}
	late := time.NewTimer(patience) // a hook may open another connection
	defer late.Stop()
	select {
	case d.first <- struct{}{}:
		if !d.watch.idle() {
			<-d.first
			return func() {}
		}
		return func() { <-d.first }
	case <-late.C:
	case <-ctx.Done():
	}
	return func() {}
}
