package driver

import (
	"fmt"
	"os"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
)

// closeSQLite closes an SQLite connection that c had.
func (c *conn) closeSQLite(inner *sqlite3.SQLiteConn) error {
	if inner == nil {
		return nil
	}
	err := closeSQLite(c, inner)
	if c.db != nil {
		c.db.watch.noteClosed()
	}
	return err
}

// closeSQLite closes the SQLite connection that an opener has. If it is the last one of the
// process on a file, and another file is at the path by now or none, SQLite would
// leave the file's WAL behind (it looks for that: databaseIsUnmoved in pager.c),
// and whoever opens what is at the path next replays it into that. So the WAL is
// moved into the old file first, for whoever has kept it, and what is left of the
// WAL is cleared away when the connection is closed. Nothing is locked meanwhile:
// it may take as long as a checkpoint.
func closeSQLite(opener door.Opener, inner *sqlite3.SQLiteConn) error {
	var left []leftBehind
	for _, h := range door.Leaving(opener) {
		if _, ok := managed(h.Path); ok {
			left = append(left, leftBehind{Handle: h, wal: fileid.Of(h.Path + "-wal")})
		}
	}
	moved := false
	for i := range left {
		if left[i].moved() {
			moved = true
			left[i].stale = openSidecars(left[i].Path)
		}
	}
	if moved {
		for _, q := range []string{"PRAGMA busy_timeout=1000", "PRAGMA schema_version", "PRAGMA wal_checkpoint(TRUNCATE)"} {
			inner.Exec(q, nil) // of all its files; if it fails the WAL is not empty, which is looked at below
		}
	}
	err := inner.Close()
	for i := range left {
		left[i].clear()
	}
	return err
}

// leftBehind is a file that its last connection leaves.
type leftBehind struct {
	door.Handle
	wal   fileid.ID            // that it had, if any
	stale map[string]fileid.ID // its sidecars, if another file was at the path before the close
}

func (l *leftBehind) moved() bool { return fileid.Of(l.Path) != l.File }

func (l *leftBehind) clear() {
	if l.stale == nil {
		// SQLite removes the WAL with the last connection, unless the file was replaced
		// in that very moment, or another process has it.
		if l.wal == fileid.None || fileid.Of(l.Path+"-wal") != l.wal || !l.moved() {
			return
		}
		l.stale = map[string]fileid.ID{l.Path + "-wal": l.wal}
	}
	for name, id := range l.stale {
		info, err := os.Stat(name)
		switch {
		case err != nil || fileid.Of(name) != id: // gone, or the new file's own by now
		case strings.HasSuffix(name, "-wal") && info.Size() > 0:
			// Another process has the old file open, and may want it.
			os.Rename(name, fmt.Sprintf("%s.of-replaced-%d", name, l.File.Ino))
		default:
			os.Remove(name)
		}
	}
}

// openSidecars returns those files beside the database that this process has
// open: the old file's, since it opened no other. Where that can't be asked, it
// is all that are there.
func openSidecars(path string) map[string]fileid.ID {
	found := map[string]fileid.ID{}
	for _, suffix := range []string{"-wal", "-shm"} {
		if id := fileid.Of(path + suffix); id != fileid.None {
			found[path+suffix] = id
		}
	}
	ours := map[fileid.ID]bool{}
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return found
	}
	for _, e := range dir {
		ours[fileid.Of("/proc/self/fd/"+e.Name())] = true
	}
	for name, id := range found {
		if !ours[id] {
			delete(found, name)
		}
	}
	return found
}
