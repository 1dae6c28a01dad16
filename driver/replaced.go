package driver

import (
	"errors"
	"strings"

	"hotswap/internal/printable"
)

// ExternalReplace is what becomes of a program's connections when something else
// than a swap puts another file at a database's path.
type ExternalReplace int

const (
	// AdoptReplaced moves all connections to the new file together, once what
	// is under way has ended; what has not after 5 s is interrupted, as by
	// FreezeOptions.Force, and its owner gets ErrForced: it works on a file that is
	// gone. It is a swap: a new generation begins and OnSwap runs, on a goroutine of
	// the driver's.
	//
	// A file is adopted only when it is whole, by its header and its length, and
	// nobody has written to it for a moment. Until then the old one stays open and
	// serves; connections that have to be opened wait for as long as their busy
	// timeout (5 s by default) and fail with ErrReplaced then; and the log and
	// Database.Warning say what is wrong with the new one. Nothing else of its
	// content is checked.
	AdoptReplaced ExternalReplace = iota
	// RefuseReplaced fails every new call with ErrReplaced until the old file is
	// back at the path, or the program starts anew. The old file stays open.
	RefuseReplaced
)

// ErrReplaced: something else than a swap has put another file at the database's
// path, or removed the file.
var ErrReplaced = errors.New("hotswap: the database file was replaced or removed by something other than a swap: " +
	"put the old file back, or a complete database in its place")

// replacedError is an ErrReplaced with what is wrong with what is there now.
type replacedError struct{ path, why string }

func (e *replacedError) Error() string {
	return printable.Path(ErrReplaced.Error()+" ("+e.path+": "+e.why+")", e.path)
}

func (e *replacedError) Is(target error) bool { return target == ErrReplaced }

// refusedError is SQLite's error of an open of a file beside another one, which is
// open at the same path: its own, or one that it attaches.
type refusedError struct {
	paths     []string
	err       error
	suspected bool // SQLite has failed of something else, maybe; bounded by who made it
}

func (e *refusedError) Error() string {
	return ErrReplaced.Error() + " (" + strings.Join(e.paths, ", ") + "): " + e.err.Error()
}

func (e *refusedError) Unwrap() []error { return []error{ErrReplaced, e.err} }
