package swapper

import (
	"errors"
	"os"

	"hotswap/driver"
)

// push is one Push, up to the choice between the two ways to go live: what is needed
// for those alone is in replacement and overwrite.
type push struct {
	db     *driver.Database
	opts   PushOptions
	report Report
	events *events
	phases phases
	patience

	target  *target     // the live file, as inspect found it
	removed removed     // what was there before, if nothing is
	stage   *stage      // the new one, from receive on
	retake  func(*push) // gets the stage, if it was staged before and this comes to nothing; else nil

	// What readLive and later visits found of the live database.
	readable bool  // it is one
	unread   error // why it can't be read; nil if it can
	wal      bool  // it is in WAL mode

	writers []driver.Holder // the transactions that the last visit met
	forced  []driver.Holder // what visits have interrupted

	condition *condition // nil if there is none

	named bool // the backup has its name

	wantLease bool  // to rename without one would be a risk; see mayRename
	rest      *rest // nil where there is none, or none is worth while
}

// pull is one Pull.
type pull struct {
	db     *driver.Database
	opts   PullOptions
	report Report
	events *events
	phases phases
}

// gone reports whether nothing is at the target any more.
func (p *push) gone() bool {
	_, err := os.Lstat(p.target.path)
	return errors.Is(err, os.ErrNotExist)
}
