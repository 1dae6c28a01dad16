package driver

import (
	"fmt"
	"os"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/lognote"
	"hotswap/internal/sqlitefile"
)

// leftWAL is the WAL that a replaced file has left beside the one that is at the path
// now. Whoever opens that would replay it there.
type leftWAL struct {
	path string
	wal  fileid.ID
	file fileid.ID // the replaced one
	why  string    // it is still there
}

// clear removes the WAL if it is empty, and otherwise gives it another name, aside,
// since it may still be wanted: another process has the replaced file open, or the WAL
// could not be moved into that. Nothing is done to a file that may be another one's
// WAL.
func (l leftWAL) clear() (aside string, err error) {
	name := l.path + "-wal"
	if now, err := fileid.Look(name); err != nil || now != l.wal {
		return "", err // gone, or the new file's own by now
	}
	if at, err := fileid.Look(l.path); err != nil || at == l.file {
		return "", err // it is where it belongs
	}
	info, err := os.Stat(name)
	if err == nil && info.Size() == 0 || err != nil && sqlitefile.Absent(err) {
		os.Remove(name) // one that stays does no harm
		return "", nil
	}
	aside = fmt.Sprintf("%s.of-replaced-%d", name, l.file.Ino)
	if err := os.Rename(name, aside); err != nil {
		return "", err
	}
	return aside, nil
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
