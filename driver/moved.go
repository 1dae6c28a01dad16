package driver

import (
	"hotswap/internal/door"
	"hotswap/internal/fileid"
)

// usedLocked reports whether anything in the process has the database's file open. The
// caller holds watch.mu.
func (d *Database) usedLocked() bool {
	return d.watch.open > 0 || door.File(d.Path()) != fileid.None
}

// moved reports whether the file at the path is not the one that is open in this
// process, or the path has changed. If nothing is at the path it has not moved yet, since
// the new file may be on its way; unless the old one is given up for none.
func (d *Database) moved() bool {
	if _, repointed := d.repointedTo(); repointed {
		return true
	}
	path := d.Path()
	opened := door.File(path)
	if opened == fileid.None {
		return false
	}
	if now := fileid.Of(path); now != fileid.None {
		return now != opened
	}
	return d.watch.givesUp(opened)
}

func (d *Database) refusing() bool {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	return d.watch.refused
}

func (d *Database) refusesReplaced() bool {
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	return d.watch.refuses
}

// newPath is where the file is to which the connections are to move.
func (d *Database) newPath() string {
	if target, ok := d.repointedTo(); ok {
		return target
	}
	return d.Path()
}

// missing returns the file that the database had open, or last had, if nothing is at its
// path now.
func (d *Database) missing() fileid.ID {
	path := d.Path()
	if fileid.Of(path) != fileid.None {
		return fileid.None
	}
	if opened := door.File(path); opened != fileid.None {
		return opened
	}
	return d.watch.known().file
}
