package driver

import (
	"time"
)

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
	// LastExternal is set if that was no push, but something else had put another file
	// at the path (mv, say), to which the connections have moved.
	LastExternal bool `json:"last_external"`
	// LastPause is for how long calls waited in the last swap, from gate closed to gate
	// open. LastWritesOnly is set if only writes and new transactions did, and reads went
	// on: in a push in place in WAL mode.
	LastPause      time.Duration `json:"last_pause_ns"`
	LastWritesOnly bool          `json:"last_writes_only"`
	// LongestPause is the longest of those pauses in which all calls waited, and
	// LongestWritesPause the longest in which writes did, whatever reads did.
	LongestPause       time.Duration `json:"longest_pause_ns"`
	LongestWritesPause time.Duration `json:"longest_writes_pause_ns"`
	// OnSwap is how long the OnSwap callbacks that are running have been, since the
	// first of them began; 0 if none is. Until they return, no swap can begin.
	OnSwap time.Duration `json:"on_swap_ns"`
}

// count counts a swap, in which writes may have waited for longer than its pause.
func (s *Stats) count(last Swap, writesPause time.Duration) {
	s.Swaps++
	s.LastSwap, s.LastPause = last.At, last.Pause
	s.LastExternal, s.LastWritesOnly = last.External, last.WritesOnly
	s.LongestWritesPause = max(s.LongestWritesPause, writesPause)
	if !last.WritesOnly {
		s.LongestPause = max(s.LongestPause, last.Pause)
	}
}
