package driver

import (
	"hotswap/internal/door"
	"hotswap/internal/fileid"
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

// known is what a look at the path is compared with.
type known struct {
	file    fileid.ID // open in the connections, or the last one that was
	before  fileid.ID // the same, from before the database was last unmanaged
	refuses bool
	warning string
}

func (w *watch) known() known {
	w.mu.Lock()
	defer w.mu.Unlock()
	return known{w.file, w.before, w.refuses, w.warning}
}

// last returns the last known file.
func (k known) last() fileid.ID {
	if k.file == fileid.None {
		return k.before
	}
	return k.file
}

func (k known) refusal(path string, now fileid.ID) error {
	switch {
	case k.warning != "":
		return &replacedError{path, k.warning}
	case now == fileid.None:
		return &replacedError{path, "no file is there"}
	}
	return ErrReplaced
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

// checkClosed is insider.CheckFile while no connection is open: a file that replaced the last
// one must be complete, and without the WAL of that.
func (d *Database) checkClosed() error {
	if err := d.clearLeft(); err != nil {
		return err
	}
	known, path := d.watch.known(), d.Path()
	now := fileid.Of(path)
	if known.last() == fileid.None || now == known.last() || door.File(path) != fileid.None {
		return nil
	}
	if known.file != fileid.None {
		if now == fileid.None {
			return nil
		}
		d.awaitReady()
	}
	return d.mayOpen()
}
