package driver

import "time"

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
	// OnSwap is how long the OnSwap callbacks that are running have been, since the
	// first of them began; 0 if none is. Until they return, no swap can begin.
	OnSwap time.Duration `json:"on_swap_ns"`
}
