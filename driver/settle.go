package driver

import (
	"context"
	"time"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
)

// mayOpen refuses to open a connection where another file is at the path than the
// one that is, or was last, open: as long as that is not adopted. It must not be
// called with a lock held.
func (d *Database) mayOpen() error {
	w := &d.watch
	path := d.Path()
	opened := door.File(path)
	w.mu.Lock()
	known, refuses, warning := w.file, w.refuses, w.warning
	w.mu.Unlock()
	now := fileid.Of(path)
	turned, isTurned := d.turnedTo()
	switch {
	case opened != fileid.None && opened == now && !isTurned:
		return nil
	case opened != fileid.None, refuses && known != fileid.None && known != now:
		if warning == "" && now == fileid.None {
			warning = "nothing is there"
		}
		if warning == "" {
			return ErrReplaced
		}
		return &replacedError{path, warning}
	}
	// Nothing is open: whoever comes first moves the database to what is there.
	if isTurned {
		path, now = turned, fileid.Of(turned)
	}
	if known != fileid.None && known != now {
		if ready, why, _ := d.ready(path, now); !ready {
			return &replacedError{path, why}
		}
	}
	if isTurned && !d.moveTo(turned) {
		return &replacedError{path, "the program has another database of that path open"}
	}
	if known != fileid.None && known != now {
		d.admit(now)
	}
	return nil
}

// admit makes a file the database's. If it is another one than before, somebody has
// put it there while nothing was open: the generation begins before anybody can read
// it, by an ATTACH of another database's, say.
func (d *Database) admit(file fileid.ID) {
	w := &d.watch
	w.mu.Lock()
	was := w.file
	if was == fileid.None {
		was = w.before
	}
	external := was != fileid.None && was != file
	generation := uint64(0)
	if external {
		generation = d.generation.Add(1)
	}
	w.file, w.before, w.warning, w.seen = file, fileid.None, "", sight{}
	w.mu.Unlock()
	door.Expect(d.Path(), file)
	if external {
		d.announce(Swap{Path: d.Path(), Generation: generation, External: true})
	}
}

// checkClosed is CheckFile while no connection is open: what was put in the place of
// the file that was open last must be whole.
func (d *Database) checkClosed() error {
	d.watch.mu.Lock()
	known := d.watch.file
	d.watch.mu.Unlock()
	path := d.Path()
	if now := fileid.Of(path); known == fileid.None || now == fileid.None || now == known || door.File(path) != fileid.None {
		return nil
	}
	d.becomesReady()
	return d.mayOpen()
}

// settle is for who could not open a connection: it returns once one may be
// opened, or with an error after as long as the program waits for a lock.
func (d *Database) settle(ctx context.Context, patience time.Duration) error {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		select {
		case <-d.adopt().ended:
		case <-ctx.Done():
			return ctx.Err()
		}
		err := d.mayOpen()
		if err == nil || d.refusesReplaced() {
			return err
		}
		select {
		case <-time.After(settleEvery):
		case <-late.C:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// settleEvery is how often it is looked again whether a file has become whole.
const settleEvery = 20 * time.Millisecond
