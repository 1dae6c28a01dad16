package moves

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"hotswap/sockserver"
)

// The calls of the program under test.
const (
	callWrite       = "write"        // a transaction that reads the stamp and inserts a row
	callRead        = "read"         // one statement over all items
	callPrepared    = "prepared"     // the same, prepared once
	callPinned      = "pinned"       // the same on a connection that is kept for a while
	callNested      = "nested"       // queries within a loop over Rows
	callLong        = "long"         // Rows that are read slowly
	callAttach      = "attach"       // a read through another database's connection
	callAttachWrite = "attach-write" // a write through one
	callOpen        = "open"         // the first read of a new pool
	callSwap        = "swap"         // OnSwap, and what a query in it reads
	callTold        = "told"         // OnSwap alone
	callPull        = "pull"         // a snapshot, which its client has looked through
)

// How a call failed, as far as it matters.
const (
	failForced   = "forced"   // driver.ErrForced
	failReplaced = "replaced" // driver.ErrReplaced
	failMoved    = "moved"    // SQLITE_READONLY_DBMOVED
	failIO       = "io"       // SQLITE_IOERR, of a directory that is gone
	failBusy     = "busy"
	failCantOpen = "cantopen"
	failHung     = "hung" // not done after a long time
	failMoot     = "moot" // may fail so; it may have been made all the same
	failOther    = "other"
)

// event is one call of the program's that has ended, as it told it. Times are
// Unix nanoseconds; both processes have the same clock.
type event struct {
	Who, Call   string
	Seq         int64  `json:",omitempty"` // of a write
	First, Last uint64 // the generation before and after
	Start, End  int64
	Low, High   string // the lowest and the highest stamp that it saw; "" without items
	Rows        int    // items that it saw
	Bad         int    `json:",omitempty"` // of them, how many do not fit their stamp
	Fail        string `json:",omitempty"`
	Text        string `json:",omitempty"` // the error
}

func (e event) String() string {
	return fmt.Sprintf("%s/%s %d in generations %d to %d (%d ms)", e.Who, e.Call, e.Seq, e.First, e.Last, (e.End-e.Start)/1e6)
}

// state is what is at the path.
type state string

const (
	stateWhole  state = "whole"
	stateBroken state = "broken" // or not written yet
	stateAbsent state = "absent"
)

// put is one thing that was done to the path from outside. It took effect at
// some moment between From and Until.
type put struct {
	State       state
	Stamp       string // of a whole file
	Text        string
	From, Until int64
}

// What came of a push.
const (
	pushDone    = "done"
	pushRefused = "refused"
	pushUnknown = "unknown" // its client did not stay to hear
)

// push is one push through the program's socket.
type push struct {
	Stamp      string
	Outcome    string
	InPlace    bool
	Generation uint64
	Problem    sockserver.ProblemType // of a refused one
	Text       string                 // its error
	Backup     string                 // the file with what was replaced; then its stamp
	Start, End int64
}

// broken is a file that was put at the path and that is not whole.
type broken struct {
	Text    string
	Touched string // how it differs from what was put, once it has left the path
}

// history is all that a run has shown.
type history struct {
	Began    int64
	Rollback bool // the program's journal mode
	Events   []event
	Puts     []put
	Closed   []put // while the program had no pool
	Pushes   []push
	Files    []contents
	Broken   []broken
	Crash    string // how the program ended, if not as it was told to
	Stuck    []string
}

// recorder takes a history down while it happens.
type recorder struct {
	mu   sync.Mutex // guards what follows
	h    history
	seen map[string]bool // the stamps of events
	more chan struct{}   // closed, and made anew, at each new stamp
}

func newRecorder(rollback bool) *recorder {
	return &recorder{h: history{Began: time.Now().UnixNano(), Rollback: rollback}, seen: map[string]bool{}, more: make(chan struct{})}
}

func (r *recorder) addEvent(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.h.Events = append(r.h.Events, e)
	if e.Fail == "" && e.Low == e.High && !r.seen[e.Low] {
		r.seen[e.Low] = true
		close(r.more)
		r.more = make(chan struct{})
	}
}

func (r *recorder) addPut(p put) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.h.Puts = append(r.h.Puts, p)
}

// lastPut is what was put at the path last.
func (r *recorder) lastPut() put {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.h.Puts) == 0 {
		return put{State: stateWhole}
	}
	return r.h.Puts[len(r.h.Puts)-1]
}

func (r *recorder) addPush(p push) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.h.Pushes = append(r.h.Pushes, p)
}

// served tells whether the stamp, or one of a push that ended after it was put
// there, has been seen; else the channel closes when there is more to see.
func (r *recorder) served(stamp string, since int64) (bool, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[stamp] {
		return true, nil
	}
	for _, p := range r.h.Pushes {
		if p.Outcome != pushRefused && p.End > since && r.seen[p.Stamp] {
			return true, nil
		}
	}
	return false, r.more
}

// unwhole reports whether at some time of the span no whole file was at the path.
func (h *history) unwhole(start, end int64) bool {
	for i, p := range h.Puts {
		until := int64(math.MaxInt64)
		if i+1 < len(h.Puts) {
			until = h.Puts[i+1].Until
		}
		if p.State != stateWhole && p.From <= end && start <= until {
			return true
		}
	}
	return false
}

// pending reports whether at some time of the span something was at the path
// that the program did not serve yet.
func (h *history) pending(start, end int64) bool {
	for i, p := range h.Puts {
		until := int64(math.MaxInt64)
		for j := i; j < len(h.Puts) && until == math.MaxInt64; j++ {
			until = h.firstSeen(h.Puts[j].Stamp)
		}
		if p.From <= end && start <= until {
			return true
		}
	}
	return false
}

// firstSeen is when a connection of the database's own, not one that attaches it,
// saw the version first.
func (h *history) firstSeen(stamp string) int64 {
	first := int64(math.MaxInt64)
	for _, e := range h.Events {
		if stamp != "" && e.Fail == "" && e.Low == stamp && e.Call != callAttach && e.Call != callAttachWrite {
			first = min(first, e.End)
		}
	}
	return first
}

// sort puts the events in the order in which they ended.
func (h *history) sort() {
	slices.SortStableFunc(h.Events, func(a, b event) int { return cmp.Compare(a.End, b.End) })
}
