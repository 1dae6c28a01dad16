package driver

import (
	"errors"
	"sync/atomic"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// What SQLite's error codes say.

func isBusy(err error) bool {
	var se sqlite3.Error
	return errors.As(err, &se) && se.Code == sqlite3.ErrBusy
}

func isInterrupt(err error) bool {
	var se sqlite3.Error
	return errors.As(err, &se) && se.Code == sqlite3.ErrInterrupt
}

// readonlyMoved is SQLITE_READONLY_DBMOVED: with a rollback journal SQLite notices
// before a write that another file is at the path.
var readonlyMoved = sqlite3.ErrReadonly.Extend(4)

// noFile is SQLITE_IOERR_FSTAT: SQLite looks at the database's file before it opens a
// WAL or a journal, and nothing was at the path.
var noFile = sqlite3.ErrIoErr.Extend(7)

// leavesFile reports whether an error of SQLite's comes from a file that was moved away
// or replaced.
func leavesFile(se sqlite3.Error) bool {
	return se.ExtendedCode == readonlyMoved || se.ExtendedCode == noFile
}

// damage is the first error that told of a damaged file, of one generation.
type damage struct {
	text       string
	at         time.Time
	generation uint64
}

type damages struct{ first atomic.Pointer[damage] } // nil if there was none

// note records err if it reports damage.
func (ds *damages) note(err error, generation uint64) {
	se, ok := err.(sqlite3.Error)
	if !ok || se.Code != sqlite3.ErrCorrupt && se.Code != sqlite3.ErrNotADB {
		return
	}
	if before := ds.first.Load(); before == nil || before.generation != generation {
		ds.first.CompareAndSwap(before, &damage{se.Error(), time.Now(), generation})
	}
}

func (ds *damages) of(generation uint64) (text string, at time.Time) {
	met := ds.first.Load()
	if met == nil || met.generation != generation {
		return "", time.Time{}
	}
	return met.text, met.at
}
