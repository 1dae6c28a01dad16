package driver

import (
	"context"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/lognote"
)

// tick is one run of the timer, which is not set again while nothing has the file open.
func (d *Database) tick() {
	w := &d.watch
	d.ticks.Add(1)
	now := fileid.Of(d.Path())
	w.mu.Lock()
	rested := w.rest.resting
	w.timer, w.rest.resting = nil, false
	used := d.usedLocked()
	goOn := used || w.refused
	settled := !w.refused && now != fileid.None && now == door.File(d.Path())
	if used && now == fileid.None {
		w.missing++
	} else {
		w.missing = 0
	}
	gone := w.missing == 2
	w.mu.Unlock()
	if gone {
		if _, repointed := d.repointedTo(); !repointed {
			lognote.Send(w.warn(d.Path()), "the database file was removed or moved away: what the program writes is lost when it exits, unless the file is moved back")
		}
	}
	if goOn {
		d.endLeaked()
		if _, repointed := d.repointedTo(); repointed || !settled {
			settled = false
			<-d.adopt().ended
		}
	}
	unused := d.unused()
	if rested && unused {
		trim.give(d.releaseMemory)
	}
	rests := unused && settled && d.mayRest(now)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !d.usedLocked() && !w.refused:
		w.rest.stop()
	case !rests || !w.restLocked(d):
		d.watchLocked()
	}
}

// CheckFile checks whether something other than a swap has replaced the file, and
// handles that as WithExternalReplace says.
func (d insider) CheckFile(ctx context.Context) error {
	if !d.moved() && !d.refusing() {
		return d.checkClosed()
	}
	select {
	case <-d.adopt().ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	switch {
	case d.refusing():
		return ErrReplaced
	case d.moved() && door.File(d.Path()) == fileid.None:
		d.awaitReady()
		return d.mayOpen()
	case d.moved():
		return &replacedError{d.Path(), d.Warning()}
	}
	return nil
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
