package driver

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"hotswap/internal/printable"
)

var (
	// ErrForced is what the owners of calls, Rows and transactions get that were
	// interrupted: nothing of the transaction remains, and it may be run again. Two
	// things interrupt them. A forced swap does, at its timeout (FreezeOptions.Force).
	// And where something else has put another file at the database's path, the move
	// of all connections to that does (AdoptReplaced): what is under way on the old
	// file has 5 s to end. For an interrupted call, errors.As still finds SQLite's own
	// error.
	ErrForced = errors.New("hotswap: interrupted and rolled back, by a forced swap or because the database file was replaced; run it again")
	// ErrFreezing is what Freeze returns while another Freeze of the same
	// database waits or holds it.
	ErrFreezing = errors.New("hotswap: another swap of this database is in progress")
)

// HeldError is what Freeze returns when the database did not drain by the
// timeout. The database goes on as before.
type HeldError struct {
	Path     string
	Waited   time.Duration
	Attempts int      // how often the gate was closed
	Holders  []Holder // who did not let go; empty if they were never the same for long
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

// String describes the holder for people: its kind, how long, and the query.
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
	if h.Query != "" {
		kind += fmt.Sprintf(" (%s)", shorten(h.Query))
	}
	return kind
}

// shorten puts a query on one line of bearable length.
func shorten(query string) string {
	query = strings.Join(strings.Fields(query), " ")
	if r := []rune(query); len(r) > 120 {
		query = string(r[:119]) + "…"
	}
	return query
}

// forcedError is SQLite's error of a call that a forced freeze interrupted.
type forcedError struct{ err error }

func (e *forcedError) Error() string   { return ErrForced.Error() + ": " + e.err.Error() }
func (e *forcedError) Unwrap() []error { return []error{ErrForced, e.err} }
