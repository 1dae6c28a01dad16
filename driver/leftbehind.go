package driver

import (
	"fmt"
	"os"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// closing is called before a connection of the database closes. If that is the
// last one and another file is at the path, SQLite would leave its WAL behind
// (it looks for that, too: databaseIsUnmoved in pager.c), beside the new file.
// So the WAL is moved into the old file first, for whoever has kept that, and
// what is left of it is cleared away when the connection is closed: by the
// function that is returned. The caller owns the connection.
func (d *Database) closing(inner *sqlite3.SQLiteConn) (closed func()) {
	w := &d.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	moved := w.open == 1 && w.movedLocked(d.path) // only the last close has to know
	if w.open--; !moved {
		return nil
	}
	w.left = true
	old := w.file.ino
	stale := openSidecars(d.path)
	for _, q := range []string{"PRAGMA busy_timeout=1000", "PRAGMA schema_version", "PRAGMA wal_checkpoint(TRUNCATE)"} {
		inner.Exec(q, nil) // if it fails the WAL is not empty, which is looked at below
	}
	return func() {
		for name, id := range stale {
			info, err := os.Stat(name)
			switch {
			case err != nil || statID(name) != id: // gone, or the new file's own by now
			case strings.HasSuffix(name, "-wal") && info.Size() > 0:
				// Another process has the old file open, and may want it.
				os.Rename(name, fmt.Sprintf("%s.of-replaced-%d", name, old))
			default:
				os.Remove(name)
			}
		}
	}
}

// openSidecars returns those files beside the database that this process has
// open: the old file's, since it opened no other. Where that can't be asked, it
// is all that are there.
func openSidecars(path string) map[string]fileID {
	found := map[string]fileID{}
	for _, suffix := range []string{"-wal", "-shm"} {
		if id := statID(path + suffix); id != (fileID{}) {
			found[path+suffix] = id
		}
	}
	ours := map[fileID]bool{}
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return found
	}
	for _, e := range dir {
		ours[statID("/proc/self/fd/"+e.Name())] = true
	}
	for name, id := range found {
		if !ours[id] {
			delete(found, name)
		}
	}
	return found
}
