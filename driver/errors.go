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
	// nothing of the transaction remains, and it may be run again. Two things interrupt
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

// String describes the holder for people: what it is, for how long, and its query.
func (h Holder) String() string {
	kind := string(h.Kind)
	switch h.Kind {
	case HoldCall:
		kind = "a running call"
	case HoldRows:
		kind = "open Rows"
	case HoldTx:
		kind = "an open transaction"
	case HoldRaw:
		kind = "a transaction begun by SQL text"
	}
	if h.For > 0 {
		kind += fmt.Sprintf(" for at least %v", h.For.Round(time.Millisecond))
	}
	if h.Program != "" {
		kind += " in " + Peer{PID: h.PID, Program: h.Program}.String()
	}
	if h.Query != "" {
		kind += fmt.Sprintf(" (%s)", shorten(h.Query))
	}
	return kind
}

// shorten puts a query on one line of at most 120 characters.
func shorten(query string) string {
	query = strings.Join(strings.Fields(query), " ")
	if r := []rune(query); len(r) > 120 {
		query = string(r[:119]) + "…"
	}
	return query
}

// forcedError is SQLite's error from a call that a forced freeze interrupted.
type forcedError struct{ err error }

func (e *forcedError) Error() string   { return ErrForced.Error() + ": " + e.err.Error() }
func (e *forcedError) Unwrap() []error { return []error{ErrForced, e.err} }
