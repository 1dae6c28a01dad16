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

// awaitReady waits, while that is a matter of moments, until the file at the path may
// be adopted. Calls may be waiting meanwhile: if one freshly written file after another
// is moved there, none becomes ready, and the old one stays in use.
func (d *Database) awaitReady() bool {
	for late := time.Now().Add(2 * stillFor); ; {
		path := d.newPath()
		ready, why, soon := d.ready(path, fileid.Of(path))
		if ready {
			return true
		}
		if !soon || time.Now().After(late) {
			d.reject(path, fileid.Of(path), why)
			return false
		}
		time.Sleep(stillFor / 4)
		if !d.moved() {
			return false
		}
	}
}

// stillFor is how long a file must not have been written to before it is adopted.
const stillFor = 200 * time.Millisecond

// ready reports whether a file may be adopted, and if not, why; soon says that this may
// change within stillFor.
func (d *Database) ready(path string, file fileid.ID) (ready bool, why string, soon bool) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if d.watch.givesUp(door.File(d.Path())) {
			return true, "", false
		}
		return false, "no file is there", false
	case err != nil:
		return false, err.Error(), false
	case info.Size() == 0:
		return false, "the new file is empty", false
	}
	now := observation{file: file, size: info.Size(), modified: info.ModTime(), since: time.Now()}
	w := &d.watch
	w.mu.Lock()
	if was := w.seen; was.file == now.file {
		now.still = was.still
		if was.size == now.size && was.modified.Equal(now.modified) {
			now.since = was.since
		}
	}
	w.seen = now
	w.mu.Unlock()
	if err := checkWhole(path, file); err != nil {
		return false, err.Error(), false
	}
	if !now.still && time.Since(now.modified) < stillFor && time.Since(now.since) < stillFor {
		return false, "it is still being written", true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen.file == file {
		w.seen.still = true
	}
	return true, "", false
}

// checkWhole checks the file at a path of which nothing, or another file, is open.
// Anybody opening it through SQLite waits meanwhile. If it is open under another name,
// it is read through that descriptor.
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

// reject records why the file at the path is not adopted, and logs it once if that
// lasts: a file that is just being copied there is incomplete, too.
func (d *Database) reject(path string, file fileid.ID, why string) {
	if d.watch.noteRejected(file, why, watchEvery*9/10) {
		lognote.Send(d.watch.warn(path).Str("because", why), "the new file at the database's path is not used: the old one stays open and in use; move a complete database there (mv)")
	}
}

// mayLeave returns an error if another file is at the path that can't be opened in
// place of the current one: the connections, all drained, must then stay open.
func (d *Database) mayLeave() error {
	if !d.moved() {
		return nil
	}
	path := d.newPath()
	if ready, why, _ := d.ready(path, fileid.Of(path)); !ready {
		return &replacedError{path, why}
	}
	return nil
}

// Warning says what keeps the connections from a file that something else put at the
// path (that it is incomplete, say); "" if there is no such file.
func (d *Database) Warning() string {
	if l := d.left.Load(); l != nil && fileid.Of(l.path+"-wal") == l.wal {
		return l.why
	}
	if !d.moved() {
		return d.warningClosed()
	}
	d.watch.mu.Lock()
	defer d.watch.mu.Unlock()
	return d.watch.warning
}

// warningClosed is Warning while nothing of the database is open.
func (d *Database) warningClosed() string {
	path := d.Path()
	d.watch.mu.Lock()
	known := d.watch.file
	d.watch.mu.Unlock()
	now := fileid.Of(path)
	if known == fileid.None || now == fileid.None || now == known || door.File(path) != fileid.None {
		return ""
	}
	ready, why, soon := d.ready(path, now)
	if ready || soon {
		return ""
	}
	return why
}
