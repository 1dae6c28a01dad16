package driver

import (
	"context"
	"errors"
	"os"
	"time"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/lognote"
	"hotswap/internal/sqlitefile"
)

// becomesReady waits, while that is a matter of a moment, until the file at the
// path may be adopted. Calls may be waiting for that: of files that are moved there
// one after another, each just written, none becomes ready, and the old one serves on.
func (d *Database) becomesReady() bool {
	for late := time.Now().Add(2 * stillFor); ; {
		path := d.Path()
		if turned, ok := d.turnedTo(); ok {
			path = turned
		}
		ready, why, soon := d.ready(path, fileid.Of(path))
		if ready {
			return true
		}
		if !soon || time.Now().After(late) {
			d.keepOut(path, fileid.Of(path), why)
			return false
		}
		time.Sleep(stillFor / 4)
		if !d.moved() {
			return false
		}
	}
}

// stillFor is for how long nobody may have written to a file that is adopted.
const stillFor = 200 * time.Millisecond

// ready reports whether a file may be adopted, or why not; soon, that this may
// change within stillFor.
func (d *Database) ready(path string, file fileid.ID) (ready bool, why string, soon bool) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return false, "no file is there", false
	case err != nil:
		return false, err.Error(), false
	case info.Size() == 0:
		return false, "the new file is empty", false
	}
	now := sight{file: file, size: info.Size(), modified: info.ModTime(), since: time.Now()}
	w := &d.watch
	w.mu.Lock()
	if was := w.seen; was.file == now.file && was.size == now.size && was.modified.Equal(now.modified) {
		now.since = was.since
	}
	w.seen = now
	w.mu.Unlock()
	if err := checkWhole(path, file); err != nil {
		return false, err.Error(), false
	}
	if time.Since(now.modified) < stillFor && time.Since(now.since) < stillFor {
		return false, "it is still being written", true
	}
	return true, "", false
}

// checkWhole looks at the file at a path of which nothing, or another file, is
// open. Who would open it through SQLite waits meanwhile; if it is open by another
// name, it is read through that descriptor.
func checkWhole(path string, file fileid.ID) error {
	ctx, cancel := context.WithTimeout(context.Background(), stillFor)
	defer cancel()
	open, err := door.Shut(ctx, path)
	if err != nil {
		return errors.New("it is being replaced")
	}
	defer open()
	opened, _ := fileid.Opened()
	for fd, id := range opened {
		if id == file {
			return sqlitefile.CheckWholeFD(fd)
		}
	}
	return sqlitefile.CheckWhole(path)
}

// keepOut notes why the file at the path is not adopted, and logs it once if that
// lasts: a file that is just being copied there is cut, too.
func (d *Database) keepOut(path string, file fileid.ID, why string) {
	w := &d.watch
	w.mu.Lock()
	w.warning = why
	if w.kept.file != file || w.kept.since.IsZero() {
		w.kept = keptOut{file: file, since: time.Now()}
	}
	tell := !w.kept.logged && time.Since(w.kept.since) >= watchEvery*9/10
	w.kept.logged = w.kept.logged || tell
	w.mu.Unlock()
	if tell {
		lognote.Send(w.warn(path).Str("because", why), "the new file at the database's path is not used: the old one stays open and in use; move a complete database there (mv)")
	}
}
