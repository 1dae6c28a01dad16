package driver

import (
	"hotswap/internal/door"
	"hotswap/internal/fileid"
)

// mayOpen refuses to open a connection where another file is at the path than the
// one that is, or was last, open: as long as that is not adopted. While nothing is
// open, whoever comes first moves the database to what is there. It must not be called
// with a lock held.
func (d *Database) mayOpen() error {
	for {
		known := d.watch.known()
		path := d.Path()
		opened, now := door.File(path), fileid.Of(path)
		turned, isTurned := d.turnedTo()
		if opened != fileid.None && opened == now && !isTurned {
			return nil
		}
		if d.isFrozen() { // by who may just be replacing it
			return &replacedError{path, "it is being replaced"}
		}
		if opened != fileid.None || known.refuses && known.file != fileid.None && (known.file != now || isTurned) {
			return known.refusal(path, now)
		}
		if isTurned {
			path, now = turned, fileid.Of(turned)
		}
		if known.file != fileid.None && known.file != now {
			if ready, why, _ := d.ready(path, now); !ready {
				return &replacedError{path, why}
			}
		}
		if isTurned {
			if err := d.moveTo(turned); err != nil {
				return err
			}
		}
		if d.admitAfter(known, path, now) {
			return nil
		}
		// Somebody else has moved it meanwhile.
	}
}

// known is what a look at the path is held against.
type known struct {
	file    fileid.ID // that the connections have open, or had last
	before  fileid.ID // the same, from before the database was given up for a while
	refuses bool
	warning string
}

func (w *watch) known() known {
	w.mu.Lock()
	defer w.mu.Unlock()
	return known{w.file, w.before, w.refuses, w.warning}
}

// last returns the file that there was last.
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

// admitAfter makes the file that is at the path the database's, if there is one, and
// nothing was admitted since it was known what was there before; else it does nothing.
func (d *Database) admitAfter(before known, path string, file fileid.ID) (still bool) {
	w := &d.watch
	var external *Swap
	w.mu.Lock()
	still = w.file == before.file && d.Path() == path
	switch {
	case !still:
	case file == fileid.None: // and it is the program's to make one
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

// admitLocked makes a file the database's. If it is another one than before, somebody
// has put it there while nothing was open: the generation begins before anybody can
// read it, by an ATTACH of another database's, say. That is to be announced.
func (d *Database) admitLocked(path string, file fileid.ID) (external *Swap) {
	w := &d.watch
	was := known{file: w.file, before: w.before}.last()
	w.file, w.before, w.warning, w.seen = file, fileid.None, "", sight{}
	if was != fileid.None && was != file {
		external = &Swap{Path: path, Generation: d.generation.Add(1), External: true}
	}
	door.Expect(path, file)
	return external
}

// checkClosed is CheckFile while no connection is open: what was put in the place of
// the file that was open last must be whole.
func (d *Database) checkClosed() error {
	known, path := d.watch.known(), d.Path()
	now := fileid.Of(path)
	if known.last() == fileid.None || now == known.last() || door.File(path) != fileid.None {
		return nil
	}
	if known.file != fileid.None {
		if now == fileid.None {
			return nil
		}
		d.becomesReady()
	}
	return d.mayOpen()
}
