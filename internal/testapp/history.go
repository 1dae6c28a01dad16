package testapp

import (
	"fmt"
	"sync"
	"time"
)

// ID names a write: who made it, and its how-manieth it is.
type ID struct {
	Writer string
	Seq    int64
}

func (id ID) String() string { return fmt.Sprintf("%s/%d", id.Writer, id.Seq) }

// Kind is the sort of a write.
type Kind string

const (
	Single  Kind = "insert"              // one row
	Pair    Kind = "two-row transaction" // two rows or none
	Counter Kind = "counter update"      // adds one to a counter that all writers share
)

// Span is when a call ran. The generations are the database's just before and
// just after it: a call that saw the same one twice ran entirely in it. The
// times do not depend on the driver's word.
type Span struct {
	Start, End  time.Time
	First, Last uint64
}

func (s Span) String() string {
	if s.First == s.Last {
		return fmt.Sprintf("in generation %d", s.First)
	}
	return fmt.Sprintf("between generations %d and %d", s.First, s.Last)
}

// Write is one write. Without an acknowledgement it may have happened or not.
type Write struct {
	ID   ID
	Kind Kind
	Span Span
	// Value is what a Counter write was told that the counter is now.
	Value int64
	Acked bool
}

func (w Write) String() string { return fmt.Sprintf("write %s (%s)", w.ID, w.Kind) }

// Read is one read that succeeded: a statement, a transaction or a loop with
// queries inside. All of it must have seen one generation.
type Read struct {
	Reader string
	Seq    int64
	Call   Call
	Span   Span
	Seen   Seen
}

func (r Read) String() string { return fmt.Sprintf("read %s/%d (%s)", r.Reader, r.Seq, r.Call) }

// Seen is what a read found: the lowest and the highest generation, and how
// many stamps it looked at (0 when the read did not look at them all).
type Seen struct {
	Low    uint64 `json:"low"`
	High   uint64 `json:"high"`
	Stamps int    `json:"stamps"`
}

// widen adds what another query of the same read has seen.
func (s *Seen) widen(o Seen) {
	s.Low, s.High = min(s.Low, o.Low), max(s.High, o.High)
}

// History is what a run's callers were told. The methods may be called
// concurrently, and do nothing on a nil History, which is how a service runs
// that nobody will check: a History only grows.
type History struct {
	mu     sync.Mutex // guards the slices; nothing else is locked under it
	writes []Write
	reads  []Read
}

// AddWrite records a write that ended.
func (h *History) AddWrite(w Write) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writes = append(h.writes, w)
}

// AddRead records a read that succeeded. The reads of one reader must be added
// in the order in which they ran.
func (h *History) AddRead(r Read) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reads = append(h.reads, r)
}

// Writes returns a copy of the writes so far.
func (h *History) Writes() []Write {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Write(nil), h.writes...)
}

// Reads returns a copy of the reads so far.
func (h *History) Reads() []Read {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Read(nil), h.reads...)
}
