package driver

import (
	"errors"
	"os"
	"time"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/lognote"
	"hotswap/internal/sqlitefile"
)

// anew is what a pool does that was made after the database's file had been removed: it
// begins a new database there, as it would with go-sqlite3. (Pools that are older only
// know the old file, and create none.) The process can't have both files open, so the
// connections of all pools leave the old one first, together, as for a file that
// somebody put there. Unlike for that, nothing is interrupted for it: the old file has no
// other place where what is under way could go on.
//
// A file that was moved away has a name elsewhere, by which it may come back. It is not
// given up as long as the program has it open, since that can be told from its count of
// links. While nothing is open it can't: then a new pool begins anew, like one in a
// program that has closed all others.
type anew struct {
	d     *Database
	gone  fileid.ID // the file that was missing when the pool was made; None for none
	since time.Time // when the path was first seen to be empty
	why   string    // the old file is not given up
}

// look gives the old file up once nothing has been at its path for a moment: a new one
// may be on its way.
func (a *anew) look() {
	a.why = ""
	if a.gone == fileid.None {
		return
	}
	path := a.d.Path()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) || a.d.watch.known().file != a.gone {
		a.since = time.Time{}
		return
	}
	if a.since.IsZero() {
		a.since = time.Now()
	}
	if time.Since(a.since) < stillFor {
		return
	}
	switch door.File(path) {
	case a.gone:
		if links, ok := fileid.Links(a.gone); !ok || links > 0 {
			a.why = "it was moved away, or has another name, and pools of the program have it open: move it back, or close those pools"
			return
		}
		a.d.watch.giveUp(a.gone)
	case fileid.None:
		if left := sqlitefile.LeftBeside(path); left != "" {
			a.why = "the database was removed, but not " + left + ", which SQLite would take for the new one's: remove it, too, once no process has the old database open"
			return
		}
		a.d.forgoRemoved(a.gone)
	}
}

// err adds to an error of mayOpen why the old file is not given up.
func (a *anew) err(err error) error {
	if err == nil || a.why == "" {
		return err
	}
	return &replacedError{a.d.Path(), a.why}
}

// end leaves the old file in use if its connections have not begun to leave it.
func (a *anew) end() { a.d.watch.keepOld(a.gone) }

// forgoRemoved makes the database one of no file, with nothing open: the next one who
// opens it begins the new file, and with that a generation.
func (d *Database) forgoRemoved(file fileid.ID) {
	w := &d.watch
	w.mu.Lock()
	if w.file != file || door.File(d.Path()) != fileid.None {
		w.mu.Unlock()
		return
	}
	w.before, w.file, w.givenUp, w.leaving, w.warning = file, fileid.None, fileid.None, false, ""
	door.Expect(d.Path(), fileid.None)
	w.mu.Unlock()
	lognote.Send(w.warn(d.Path()), "the database file was removed, and a pool opened since then has begun a new database there: the program's other pools use it, too; what the old one contained is gone")
}
