package driver

import (
	"fmt"
	"sync"

	"hotswap/internal/dbpath"
	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/printable"
	"hotswap/internal/unix"
)

// acquire returns the database of a real path, and keeps it managed until the matching
// release. If name, which leads there, used to lead to another database's path, acquire
// returns that database: its symlink was repointed, and it moves there, or is about to.
func acquire(path, name string) *Database {
	repointed := findRepointed(path, name)
	registry.Lock()
	d := registry.byPath[path].Value()
	switch {
	case d != nil:
	case repointed == nil:
		d = newDatabase(path)
		registerLocked(d, path)
	default:
		if d = repointed; d.unusedLocked() {
			moveLocked(d, path)
		}
	}
	d.keepLocked()
	registry.Unlock()
	if path := d.Path(); door.File(path) != fileid.None {
		d.noteAttached(path, door.File(path)) // before it was managed
	}
	return d
}

// unusedLocked reports whether no pool has the database: at most a push, say, which
// ends when it sees the move.
func (d *Database) unusedLocked() bool {
	return d.refs == 0 || len(d.names) == 0 && door.File(d.Path()) == fileid.None
}

// Manage makes the file at path a managed database, even if no pool has it open, until
// release is called. The file need not exist, but its directory must; otherwise Manage
// returns an error. On Windows no file is managed, and Manage fails with
// errors.ErrUnsupported.
func Manage(path string) (d *Database, release func(), err error) {
	if err := unix.Supported(); err != nil {
		return nil, nil, fmt.Errorf("hotswap: manage %s: %w", printable.Line(path), err)
	}
	real, err := dbpath.Real(path)
	if err != nil {
		return nil, nil, err
	}
	d = acquire(real, "")
	d.listen()
	return d, sync.OnceFunc(d.release), nil
}
