package driver

import (
	"context"
	"time"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/lognote"
)

// arrive ends a freeze, with no connection open: it records which file is at the path,
// and reports whether something other than a swap put it there. If all who have the old one
// open have left it together, it may be opened.
func (d *Database) arrive(swapped, together bool) (external bool) {
	if target, ok := d.repointedTo(); ok && !swapped && d.watch.idle() && door.File(d.Path()) == fileid.None {
		if ready, _, _ := d.ready(target, fileid.Of(target)); !ready || d.moveTo(target) != nil {
			return false
		}
	}
	path := d.Path()
	now := fileid.Of(path)
	w := &d.watch
	was := w.known().file
	if left := w.takeLeft(); left && now == fileid.None {
		d.forgoRemoved(was)
		return false
	}
	if !w.idle() || now == fileid.None || !swapped && (was == fileid.None || was == now) {
		return false
	}
	if !swapped {
		// If the file is not complete yet, the first call checks again, for as long as
		// it may wait.
		if ready, _, _ := d.ready(path, now); !ready || !together && d.awaitsPeers(path, now) != "" {
			return false
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file != was {
		return false // admitted by a connection that attached it
	}
	w.file, w.warning, w.seen = now, "", observation{}
	return !swapped
}

func (w *watch) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open == 0
}

// announce reports that a file was put there while no connection was open; nil means
// none was.
func (d *Database) announce(s *Swap) {
	if s == nil {
		return
	}
	d.mu.Lock()
	s.At = time.Now()
	d.swappedLocked(*s, 0)
	d.mu.Unlock()
	d.warnReplaced(0)
	d.notify(*s)
}

func (d *Database) warnReplaced(pause time.Duration) {
	lognote.Send(d.watch.warn(d.Path()).Uint64("generation", d.Generation()).Dur("pause", pause), "the database file was replaced by something other than a swap: all connections now use the new one")
}

// openFirst is for connections whose DSN sets a journal mode: converting a file to that
// mode needs the file exclusively. It lets one connection be the first on a file, and
// makes others wait until opened is called.
func (d *Database) openFirst(ctx context.Context, patience time.Duration) (opened func()) {
	if !d.watch.idle() {
		return func() {}
	}
	late := time.NewTimer(patience) // a hook may itself open another connection
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
