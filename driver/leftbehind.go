package driver

import (
	"database/sql/driver"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/lognote"
	"hotswap/internal/session"
	"hotswap/internal/sqlitefile"
)

// closeSQLite closes the opener's SQLite connection. If that is the process's last one
// on a file, and another file or none is at the path by now, SQLite would leave the
// file's WAL behind (see databaseIsUnmoved in pager.c), and whoever opens the path next
// would replay it into the file there. That may come about at any moment. So the WAL is
// moved into the file before the connection is closed, what is left of it is removed
// after that, and until then nobody else in the process opens the path. It may take as
// long as a checkpoint.
func closeSQLite(opener door.Opener, inner *sqlite3.SQLiteConn) error {
	if largeWALs(opener) {
		inner.Exec("PRAGMA wal_checkpoint(PASSIVE)", nil) // while others may still open it
	}
	leaveToReaders(opener, inner)
	last, closed := door.Leaving(opener)
	defer closed()
	left := leaving(last)
	moved := false
	for i := range left {
		if left[i].moved() {
			moved = true
			left[i].stale = openSidecars(left[i].Path)
		}
	}
	if moved || anyLogged(left) {
		emptyWALs(inner, left, moved)
	}
	err := inner.Close()
	for i := range left {
		if !door.Stays(left[i].Path) { // else an open in progress there has succeeded
			left[i].clear()
		}
	}
	return err
}

// leaveToReaders comes before the close of the last connection that could move a file's
// WAL into it, while read-only ones stay open: the last of those could not, and if the
// file has been moved away by then, it would lack what is in its WAL. What a reader's
// snapshot keeps from being moved stays in the WAL.
func leaveToReaders(opener door.Opener, inner *sqlite3.SQLiteConn) {
	left := leaving(door.LastWriter(opener))
	if anyLogged(left) {
		emptyWALs(inner, left, slices.ContainsFunc(left, func(l leftBehind) bool { return l.moved() }))
	}
}

// leaving describes the files of those handles: also of attached databases, managed or
// not.
func leaving(handles []door.Handle) (left []leftBehind) {
	for _, h := range handles {
		left = append(left, leftBehind{Handle: h, wal: fileid.Of(h.Path + "-wal")})
	}
	return left
}

func anyLogged(left []leftBehind) bool {
	return slices.ContainsFunc(left, func(l leftBehind) bool {
		info, err := os.Stat(l.Path + "-wal")
		return err == nil && info.Size() > 0 || err != nil && !sqlitefile.Absent(err)
	})
}

// largeWALs reports whether the opener is the last one on a file whose WAL takes time
// to move.
func largeWALs(opener door.Opener) bool {
	return slices.ContainsFunc(door.Last(opener), func(h door.Handle) bool { return sqlitefile.WALSize(h.Path) > 1<<20 })
}

// emptyWALs moves the WALs of those files into them. One that can't be moved stays
// non-empty, which is checked once the connection is closed: as a rule another process
// has it open, too, and SQLite's last close sees to it. Only for a file that was moved
// away does it wait longer than a moment for another process.
func emptyWALs(inner *sqlite3.SQLiteConn, left []leftBehind, moved bool) {
	if !inner.AutoCommit() {
		inner.Exec("ROLLBACK", nil) // as the close would
	}
	wait := 20 * time.Millisecond // for a connection that is just opening or closing
	if moved {
		wait = time.Second
	}
	inner.Exec(fmt.Sprintf("PRAGMA busy_timeout=%d", wait.Milliseconds()), nil)
	// Most likely a concurrent close is running the checkpoint, which ends soon.
	deadline := time.Now().Add(max(wait, 250*time.Millisecond))
	for _, l := range left {
		for _, name := range schemasOn(inner, l.Path) {
			for !emptyWAL(inner, name) && time.Now().Before(deadline) {
				time.Sleep(time.Millisecond)
			}
		}
	}
}

// emptyWAL moves the WAL of a schema into its file. It returns false if another
// checkpoint is running: SQLite does not wait for it, and it may not move all that is
// there by now.
func emptyWAL(inner *sqlite3.SQLiteConn, schema string) bool {
	// A connection that has read nothing yet has no WAL to move:
	// https://www.sqlite.org/c3ref/wal_checkpoint_v2.html.
	inner.Exec("PRAGMA "+schema+".schema_version", nil)
	rows, err := inner.Query("PRAGMA "+schema+".wal_checkpoint(TRUNCATE)", nil)
	if err != nil {
		return true
	}
	defer rows.Close()
	row := make([]driver.Value, 3) // busy, frames, frames moved
	if err := rows.Next(row); err != nil {
		return true
	}
	busy, _ := row[0].(int64)
	frames, _ := row[1].(int64)
	return busy == 0 || frames >= 0
}

// schemasOn returns the quoted names of a connection's schemas that are on the file.
func schemasOn(inner *sqlite3.SQLiteConn, path string) (names []string) {
	if inner.GetFilename("main") == path {
		return []string{"main"}
	}
	for _, s := range session.Schemas(inner) {
		if s.File == path {
			names = append(names, session.Quote(s.Name))
		}
	}
	return names
}

// leftBehind is a file that its last connection is leaving.
type leftBehind struct {
	door.Handle
	wal   fileid.ID            // its WAL, if any
	stale map[string]fileid.ID // its sidecars, if another file was at the path before the close
}

func (l *leftBehind) moved() bool { return fileid.Of(l.Path) != l.File }

func (l *leftBehind) clear() {
	if l.stale == nil {
		// SQLite removes the WAL with the last connection, unless the file was replaced
		// at that very moment or another process has it open.
		if l.wal == fileid.None || fileid.Of(l.Path+"-wal") != l.wal || !l.moved() {
			return
		}
		l.stale = map[string]fileid.ID{l.Path + "-wal": l.wal}
	}
	for name, id := range l.stale {
		if !strings.HasSuffix(name, "-wal") {
			if at, err := fileid.Look(l.Path); err == nil && at != l.File && fileid.Of(name) == id {
				os.Remove(name)
			}
			continue
		}
		wal := leftWAL{path: l.Path, wal: id, file: l.File}
		aside, err := wal.clear()
		if d, ok := managed(l.Path); ok {
			d.noteLeft(wal, aside, err)
		}
	}
}

// openSidecars returns the sidecars of the database that this process has open: the old
// file's, since it opened no other. Where the system can't say, it returns all that are
// there.
func openSidecars(path string) map[string]fileid.ID {
	found := map[string]fileid.ID{}
	for _, suffix := range []string{"-wal", "-shm"} {
		if id := fileid.Of(path + suffix); id != fileid.None {
			found[path+suffix] = id
		}
	}
	opened, ok := fileid.Opened()
	if !ok {
		return found
	}
	ours := slices.Collect(maps.Values(opened))
	for name, id := range found {
		if !slices.Contains(ours, id) {
			delete(found, name)
		}
	}
	return found
}

// noteLeft records and logs what came of a WAL. With one that is still there the
// connections open no file at the path.
func (d *Database) noteLeft(l leftWAL, aside string, err error) {
	if err != nil {
		l.why = "the WAL of the replaced file is still beside it: " + err.Error()
		d.left.Store(&l)
		lognote.Send(d.watch.warn(l.path).Str("wal", l.path+"-wal").Err(err), "the WAL of the replaced file could not be put aside, and calls fail until it is: move it away before another process opens the new file, or SQLite replays it there")
		return
	}
	d.left.Store(nil)
	if aside != "" {
		lognote.Send(d.watch.warn(l.path).Str("wal", aside), "the WAL of the replaced file was put aside, since it may hold writes that the file lacks: to recover them, rename it to that file's name with -wal and open the file with sqlite3")
	}
}

// clearLeft tries again to put aside a WAL that could not be, if nothing is open at the
// path. The caller must hold no lock.
func (d *Database) clearLeft() error {
	l := d.left.Load()
	if l == nil || door.File(l.path) != fileid.None {
		return nil
	}
	d.clearing.Lock()
	defer d.clearing.Unlock()
	if d.left.Load() != l {
		return nil // another caller has done it
	}
	aside, err := l.clear()
	if err != nil {
		return &replacedError{l.path, l.why}
	}
	d.noteLeft(*l, aside, nil)
	return nil
}
