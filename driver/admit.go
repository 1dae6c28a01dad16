package driver

import (
	"context"
	"time"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/lognote"
	"hotswap/internal/sqlitefile"
)

// mayOpen returns an error while the file at the path is not the one that is, or was
// last, open and has not been adopted. While nothing is open, the first caller moves
// the database to the file that is there. The caller must hold no lock.
func (d *Database) mayOpen() error {
	for {
		known := d.watch.known()
		path := d.Path()
		opened, now := door.File(path), fileid.Of(path)
		target, repointed := d.repointedTo()
		if opened != fileid.None && opened == now && !repointed {
			return nil
		}
		if err := d.clearLeft(); err != nil {
			return err
		}
		if d.isFrozen() { // perhaps by whoever is replacing it
			return &replacedError{path, "it is being replaced"}
		}
		if opened != fileid.None || known.refuses && known.file != fileid.None && (known.file != now || repointed) {
			return known.refusal(path, now)
		}
		if repointed {
			path, now = target, fileid.Of(target)
		}
		if known.file != fileid.None && known.file != now {
			if ready, why, _ := d.ready(path, now); !ready {
				return &replacedError{path, why}
			}
		}
		if known.file != now && (known.file != fileid.None || sqlitefile.LeftBeside(path) != "") {
			if why := d.awaitsPeers(path, now); why != "" {
				return &replacedError{path, why}
			}
		}
		if repointed {
			if err := d.moveTo(target); err != nil {
				return err
			}
		}
		if d.admitAfter(known, path, now) {
			return nil
		}
		// Another caller has moved it meanwhile.
	}
}

// admitAfter makes the file at the path, if there is one, the database's. It does
// nothing, and returns false, if another file was admitted or the path has changed
// since before was taken.
func (d *Database) admitAfter(before known, path string, file fileid.ID) (still bool) {
	w := &d.watch
	var external *Swap
	w.mu.Lock()
	still = w.file == before.file && d.Path() == path
	switch {
	case !still:
	case file == fileid.None: // which the program may create
		door.Expect(path, fileid.None)
	case before.last() != fileid.None:
		external = d.admitLocked(path, file)
	}
	w.mu.Unlock()
	d.announce(external)
	return still
}

// admit makes the file at the path, which is open, the database's.
func (d *Database) admit(path string, file fileid.ID) {
	d.watch.mu.Lock()
	external := d.admitLocked(path, file)
	d.watch.mu.Unlock()
	d.announce(external)
}

// admitLocked makes a file the database's. If it is not the last one, somebody replaced
// that while nothing was open: the new generation begins before anybody (an ATTACH of
// another database, say) can read the file, and the caller announces external. The
// caller holds watch.mu.
func (d *Database) admitLocked(path string, file fileid.ID) (external *Swap) {
	w := &d.watch
	was := known{file: w.file, before: w.before}.last()
	w.file, w.before, w.warning, w.seen = file, fileid.None, "", observation{}
	w.givenUp, w.leaving = fileid.None, false
	if was != fileid.None && was != file {
		external = &Swap{Path: path, Generation: d.generation.Add(1), External: true}
	}
	door.Expect(path, file)
	return external
}

// noteOpened counts a connection, and records which file it has open.
func (d *Database) noteOpened(path string, file fileid.ID) {
	d.admit(path, file)
	w := &d.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open++
	d.watchLocked()
}

// noteAttached records that a connection of another database has the file open. If that
// is the first to have a file of the database open, the file is admitted.
func (d *Database) noteAttached(path string, file fileid.ID) {
	w := &d.watch
	w.mu.Lock()
	first := w.file == fileid.None
	w.mu.Unlock()
	if first {
		d.admit(path, file)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	d.watchLocked()
}

// watchLocked schedules the next tick. The caller holds watch.mu.
func (d *Database) watchLocked() {
	w := &d.watch
	if w.timer == nil {
		w.timer = time.AfterFunc(watchEvery, d.tick)
	} else if w.rest.resting {
		d.rouseLocked(watchEvery)
	}
}

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
