package driver

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"hotswap/internal/printable"
)

var (
	// ErrForced is returned to the owners of interrupted calls, Rows and transactions:
	// nothing of the transaction remains, and it may be run again. (Of a text of several
	// statements that was in none, those before the interrupted one are done, each by
	// itself.) Two things interrupt
	// them: a forced swap, at its timeout (FreezeOptions.Force), and, when something
	// else has put another file at the database's path, the move of all connections to
	// that file (AdoptReplaced), which gives work in progress on the old one 5 s to
	// end. On a connection whose transaction began by SQL text every call gets it until
	// that transaction's end: COMMIT, or RELEASE of the outermost savepoint, gets it for
	// the last time; ROLLBACK, and ROLLBACK TO the outermost savepoint, succeed, the
	// latter with that savepoint made anew. After it has been returned once, BEGIN
	// succeeds, too, and so does the SAVEPOINT that began the transaction. For an
	// interrupted call, errors.As still finds SQLite's own error.
	ErrForced = errors.New("hotswap: interrupted and rolled back, by a forced swap or because the database file was replaced; run it again")
	// ErrFreezing is returned by Freeze while another Freeze of the same database waits
	// for it or holds it, or while OnSwap callbacks run.
	ErrFreezing = errors.New("hotswap: another swap of this database is in progress")
)

// HeldError is returned by Freeze when the database did not drain within the timeout.
// The database continues as before.
type HeldError struct {
	Path     string
	Waited   time.Duration // since Freeze was called
	Attempts int           // how often the gate was closed
	Holders  []Holder      // what was still held; empty if nothing was held for long
}

func (e *HeldError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s was still in use after %v", printable.Line(e.Path), e.Waited.Round(time.Millisecond))
	for i, h := range e.Holders {
		sep := "; "
		if i == 0 {
			sep = ": held by "
		}
		fmt.Fprintf(&b, "%s%s", sep, h)
	}
	return b.String()
}

// forcedError is SQLite's error from a call that a forced freeze interrupted.
type forcedError struct {
	err     error
	several bool // statements in the call's text, and no transaction around them
}

func (e *forcedError) Error() string {
	text := ErrForced.Error()
	if e.several {
		text += " from the statement on that was interrupted, since those before it in its text may be committed"
	}
	return text + ": " + e.err.Error()
}

func (e *forcedError) Unwrap() []error { return []error{ErrForced, e.err} }
