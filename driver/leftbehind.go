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
	"hotswap/internal/session"
)

// closeSQLite closes the SQLite connection that an opener has. If it is the last one of the
// process on a file, and another file is at the path by now or none, SQLite would
// leave the file's WAL behind (it looks for that: databaseIsUnmoved in pager.c),
// and whoever opens what is at the path next replays it into that. That may come to
// be so in any moment: so the WAL is moved into the file before the connection is
// closed, what is left of it is cleared away after that, and until then nobody else
// in the process opens the path. It may take as long as a checkpoint.
func closeSQLite(opener door.Opener, inner *sqlite3.SQLiteConn) error {
	if largeWALs(opener) {
		inner.Exec("PRAGMA wal_checkpoint(PASSIVE)", nil) // while others may come
	}
	last, closed := door.Leaving(opener)
	defer closed()
	var left []leftBehind
	for _, h := range last { // of attached files, too, managed or not
		left = append(left, leftBehind{Handle: h, wal: fileid.Of(h.Path + "-wal")})
	}
	moved, logged := false, false
	for i := range left {
		logged = logged || walSize(left[i].Path) > 0
		if left[i].moved() {
			moved = true
			left[i].stale = openSidecars(left[i].Path)
		}
	}
	if logged || moved {
		emptyWALs(inner, left, moved)
	}
	err := inner.Close()
	for i := range left {
		if !door.Stays(left[i].Path) { // or what was being opened there has come to something
			left[i].clear()
		}
	}
	return err
}

// largeWALs reports whether the opener is the last one on a file with a WAL that it
// takes time to move.
func largeWALs(opener door.Opener) bool {
	return slices.ContainsFunc(door.Last(opener), func(h door.Handle) bool { return walSize(h.Path) > 1<<20 })
}

// walSize returns the size of a file's WAL in bytes, 0 if it has none.
func walSize(path string) int64 {
	info, err := os.Stat(path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// emptyWALs moves the WALs of those files into them. If one can't be, its WAL is not
// empty after that, which is looked at once the connection is closed: it is another
// process's, too, as a rule, and SQLite's last close sees to it. Only of a file that
// was moved away is another process waited for, for longer than a moment.
func emptyWALs(inner *sqlite3.SQLiteConn, left []leftBehind, moved bool) {
	if !inner.AutoCommit() {
		inner.Exec("ROLLBACK", nil) // as the close would
	}
	wait := 20 * time.Millisecond // for one that is just being opened, or closed, too
	if moved {
		wait = time.Second
	}
	inner.Exec(fmt.Sprintf("PRAGMA busy_timeout=%d", wait.Milliseconds()), nil)
	// Another close of the same moment has the checkpoint, most likely, which ends soon.
	deadline := time.Now().Add(max(wait, 250*time.Millisecond))
	for _, l := range left {
		for _, name := range schemasOn(inner, l.Path) {
			for !emptyWAL(inner, name) && time.Now().Before(deadline) {
				time.Sleep(time.Millisecond)
			}
		}
	}
}

// emptyWAL moves the WAL of a schema into its file. It is false if another one is just
// doing that, for which SQLite does not wait, and which may not move all that there is
// by now.
func emptyWAL(inner *sqlite3.SQLiteConn, schema string) bool {
	// One that has read nothing yet has no WAL to move:
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

// schemasOn returns the names, quoted, of a connection's schemas that are of a file.
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
	for _, name := range slices.Sorted(maps.Keys(l.stale)) {
		id := l.stale[name]
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
