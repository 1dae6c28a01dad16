package driver

import "time"

// Swap tells an OnSwap callback what happened.
type Swap struct {
	// Path is the database's resolved real path.
	Path string
	// Generation is the generation that the swap began.
	Generation uint64
	// Pause is how long the gate was closed for the swap.
	Pause time.Duration
	// External is set if the file was replaced by something else than a swap,
	// and the connections have moved to what is there now.
	External bool
}

// Stats is a snapshot of a database's counters; see [Database.Stats].
type Stats struct {
	// Connections is how many connections the program's pools hold, open or
	// waiting to be reopened on their next use.
	Connections int `json:"connections"`
	// Busy is how many of them are inside a call.
	Busy int `json:"busy"`
	// Held is how many are between calls with Rows or a transaction open. A
	// transaction begun by SQL text (a raw BEGIN) is counted only while a
	// swap is waiting for it.
	Held int `json:"held"`
	// Waiting is how many calls wait at the gate.
	Waiting int `json:"waiting"`
	// Frozen is true while every connection is closed for a swap.
	Frozen bool `json:"frozen"`
	// Generation is the current generation, 1 at first.
	Generation uint64 `json:"generation"`
	// Swaps is how many swaps succeeded since the database was first opened.
	Swaps uint64 `json:"swaps"`
	// LastSwap is when the last of them opened the gate again; zero for none.
	LastSwap time.Time `json:"last_swap,omitzero"`
	// LastPause and LongestPause are times from gate closed to gate open, of
	// swaps that succeeded.
	LastPause    time.Duration `json:"last_pause_ns"`
	LongestPause time.Duration `json:"longest_pause_ns"`
}

// HoldKind is what keeps a connection from being drained.
type HoldKind string

const (
	HoldCall HoldKind = "call"            // a call that has not returned
	HoldRows HoldKind = "rows"            // open Rows
	HoldTx   HoldKind = "transaction"     // a Tx that is not yet committed or rolled back
	HoldRaw  HoldKind = "raw transaction" // BEGIN or SAVEPOINT executed as SQL text
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

	tx bool // in a transaction, whatever else; or a call that may be
}
