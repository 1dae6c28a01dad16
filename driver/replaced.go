package driver

import (
	"errors"
	"strings"

	"hotswap/internal/printable"
)

// ExternalReplace says what happens to a program's connections when something other
// than a swap puts another file at a database's path.
type ExternalReplace int

const (
	// AdoptReplaced moves all connections to the new file together, once work in
	// progress has ended. What has not ended after 5 s is interrupted, as by
	// FreezeOptions.Force, and its owner gets ErrForced: it works on a file that is
	// gone. The move is a swap: a new generation begins, and OnSwap callbacks run.
	//
	// A file is adopted only when it is complete, judging by its header and its length,
	// and nobody has written to it for a moment (200 ms). Until then the old one stays
	// open and in use; connections that have to be opened wait for up to their busy
	// timeout (5 s by default) and then fail with ErrReplaced; and the log and
	// Database.Warning say what is wrong with the new one. Its content is not checked
	// further.
	AdoptReplaced ExternalReplace = iota
	// RefuseReplaced fails every new call with ErrReplaced until the old file is back
	// at the path or the program restarts. The old file stays open.
	RefuseReplaced
)

// ErrReplaced is returned when something other than a swap has put another file at the
// database's path, or removed the file. Test for it with errors.Is. A pool that is made
// after the file was removed does not get it: it begins a new database there, as with
// go-sqlite3, as soon as nothing of the old one is held.
var ErrReplaced = errors.New("hotswap: the database file was replaced or removed by something other than a swap: " +
	"put the old file back, or a complete database in its place")

// replacedError is an ErrReplaced that says what is wrong with the file now there.
type replacedError struct{ path, why string }

func (e *replacedError) Error() string {
	return printable.Path(ErrReplaced.Error()+" ("+e.path+": "+e.why+")", e.path)
}

func (e *replacedError) Is(target error) bool { return target == ErrReplaced }

// refusedError is SQLite's error from opening a file (its own, or one that it attaches)
// at a path where another one is open.
type refusedError struct {
	paths     []string
	err       error
	suspected bool // SQLite may have failed for another reason; bounded where it was made
}

func (e *refusedError) Error() string {
	return ErrReplaced.Error() + " (" + strings.Join(e.paths, ", ") + "): " + e.err.Error()
}

func (e *refusedError) Unwrap() []error { return []error{ErrReplaced, e.err} }

// lockedError is of a replay that met a lock: that of an attached database, since
// opening the connection would have met the main one's. The call that needs the
// connection may have nothing to do with the attached one, and would not have met its
// lock but for the swap: it waits instead of failing.
type lockedError struct{ err error }

func (e *lockedError) Error() string { return e.err.Error() }

func (e *lockedError) Unwrap() error { return e.err }
