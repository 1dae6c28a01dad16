package driver

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hotswap/internal/printable"
)

// Holder is one connection that a freeze waited for.
type Holder struct {
	Kind HoldKind `json:"kind"`
	// Query is the SQL text of the running call, of the open Rows, or of the
	// transaction's latest call; never its arguments.
	Query string `json:"query"`
	// For is how long the freeze has seen the connection held: a lower bound,
	// since the hold may have begun before.
	For time.Duration `json:"for_ns"`
	// PID and Program are those of the process that holds it, if that is a peer.
	PID     int    `json:"pid,omitempty"`
	Program string `json:"program,omitempty"`
	// Waits is set for a running call that may write, where something else has a
	// transaction open: it may only be waiting for that one to end.
	Waits bool `json:"waits,omitempty"`

	tx bool // in a transaction, or a call that may be
}

// HoldKind is what keeps a connection from being drained.
type HoldKind string

const (
	HoldCall HoldKind = "call"            // a call that has not returned
	HoldRows HoldKind = "rows"            // open Rows
	HoldTx   HoldKind = "transaction"     // a Tx that is not yet committed or rolled back
	HoldRaw  HoldKind = "raw transaction" // BEGIN or SAVEPOINT executed as SQL text
)

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
		kind += " in " + process(h.PID, h.Program)
	}
	if h.Query != "" {
		kind += fmt.Sprintf(" (%s)", shorten(h.Query))
	}
	if h.Waits {
		kind += ", which may only be waiting for that"
	}
	return kind
}

// onlyCalls reports whether none of them is held between its calls.
func onlyCalls(all []Holder) bool {
	return !slices.ContainsFunc(all, func(h Holder) bool { return h.Kind != HoldCall })
}

// process names another process.
func process(pid int, program string) string {
	if pid == 0 { // it has none in this process's namespace
		return fmt.Sprintf("a process of another namespace (%s)", printable.Line(program))
	}
	return fmt.Sprintf("process %d (%s)", pid, printable.Line(program))
}

// shorten puts a query on one line of at most 120 characters.
func shorten(query string) string {
	query = strings.Join(strings.Fields(query), " ")
	if r := []rune(query); len(r) > 120 {
		query = string(r[:119]) + "…"
	}
	return query
}

// sighting is when a connection was first seen in its current period.
type sighting struct {
	period word
	at     time.Time
}
