package testapp

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Call is the sort of a call that the service or its load makes.
type Call string

// What the load does over HTTP, and what the service's workers do.
const (
	CallStatement   Call = "statement"     // one statement
	CallTransaction Call = "read tx"       // a read transaction of three statements
	CallNested      Call = "nested rows"   // queries inside open Rows
	CallPrepared    Call = "old statement" // the statement prepared at start
	CallCached      Call = "cached read"   // the cache, or a statement to fill it
	CallInsert      Call = "insert"
	CallPair        Call = "write tx"
	CallCounter     Call = "counter"
	CallEnqueue     Call = "enqueue"
	CallPinned      Call = "pinned raw tx" // BEGIN IMMEDIATE as text on a pinned connection
	CallClaim       Call = "job claim"
	CallComplete    Call = "job done"
)

// maxErrors is how many errors a Meter keeps with their text.
const maxErrors = 8

// Meter counts calls and keeps the latest of them. It is safe for concurrent
// use.
type Meter struct {
	epoch time.Time // samples count from here

	mu     sync.Mutex // guards all below; held for no more than a few stores
	calls  map[Call]*CallStats
	errors []string
	ring   []sample
	next   int // where the next sample goes
	full   bool
	more   chan struct{} // closed by the next call that ends; nil if nobody waits
}

// sample is one call that ended.
type sample struct {
	call   Call
	start  time.Duration // since the epoch
	took   time.Duration
	failed bool
}

// CallStats are the totals of one sort of call.
type CallStats struct {
	Call    Call          `json:"call"`
	Served  uint64        `json:"served"`
	Failed  uint64        `json:"failed"`
	Longest time.Duration `json:"longest_ns"`
}

// newMeter keeps the latest samples, as many as said.
func newMeter(samples int) *Meter {
	return &Meter{epoch: time.Now(), calls: make(map[Call]*CallStats), ring: make([]sample, samples)}
}

// add counts a call that ran from start until end.
func (m *Meter) add(c Call, start, end time.Time, err error) {
	took := end.Sub(start)
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.calls[c]
	if s == nil {
		s = &CallStats{Call: c}
		m.calls[c] = s
	}
	if err != nil {
		s.Failed++
		if len(m.errors) < maxErrors {
			m.errors = append(m.errors, fmt.Sprintf("%s: %v", c, err))
		}
	} else {
		s.Served++
	}
	s.Longest = max(s.Longest, took)
	m.ring[m.next] = sample{c, start.Sub(m.epoch), took, err != nil}
	if m.next++; m.next == len(m.ring) {
		m.next, m.full = 0, true
	}
	if m.more != nil {
		close(m.more)
		m.more = nil
	}
}

// Await blocks until n more calls have been served of each sort that is named,
// counted from now, or until ctx ends.
func (m *Meter) Await(ctx context.Context, n uint64, calls ...Call) error {
	goals := make(map[Call]uint64, len(calls))
	m.mu.Lock()
	for _, c := range calls {
		goals[c] = m.servedLocked(c) + n
	}
	m.mu.Unlock()
	for {
		m.mu.Lock()
		var waiting []Call
		for c, goal := range goals {
			if m.servedLocked(c) < goal {
				waiting = append(waiting, c)
			}
		}
		if len(waiting) == 0 {
			m.mu.Unlock()
			return nil
		}
		if m.more == nil {
			m.more = make(chan struct{})
		}
		more := m.more
		m.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("wait for calls of %q: %w", waiting, ctx.Err())
		}
	}
}

func (m *Meter) servedLocked(c Call) uint64 {
	if s := m.calls[c]; s != nil {
		return s.Served
	}
	return 0
}

// Calls returns the totals by sort of call, in alphabetical order.
func (m *Meter) Calls() []CallStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]CallStats, 0, len(m.calls))
	for _, s := range m.calls {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b CallStats) int { return cmp.Compare(a.Call, b.Call) })
	return all
}

// Total returns the totals over all sorts; its Call is empty.
func (m *Meter) Total() CallStats {
	var t CallStats
	for _, s := range m.Calls() {
		t.Served += s.Served
		t.Failed += s.Failed
		t.Longest = max(t.Longest, s.Longest)
	}
	return t
}

// Errors returns the text of the first few errors.
func (m *Meter) Errors() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.errors)
}

// each calls fn with every sample that is kept.
func (m *Meter) each(fn func(sample)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.ring[:m.next] {
		fn(m.ring[i])
	}
	if m.full {
		for i := range m.ring[m.next:] {
			fn(m.ring[m.next+i])
		}
	}
}

// Wait is how calls of one sort felt a span of time.
type Wait struct {
	Call    Call
	Calls   int           // how many were in flight in it
	Longest time.Duration // the longest that one of them took from start to end
}

// During tells who was in flight at some time from start until end, the
// longest first. A call that has not ended yet is not counted.
func (m *Meter) During(start, end time.Time) []Wait {
	from, until := start.Sub(m.epoch), end.Sub(m.epoch)
	byCall := make(map[Call]Wait)
	m.each(func(s sample) {
		if s.start > until || s.start+s.took < from {
			return
		}
		w := byCall[s.call]
		byCall[s.call] = Wait{s.call, w.Calls + 1, max(w.Longest, s.took)}
	})
	waits := make([]Wait, 0, len(byCall))
	for _, w := range byCall {
		waits = append(waits, w)
	}
	slices.SortFunc(waits, func(a, b Wait) int {
		return cmp.Or(cmp.Compare(b.Longest, a.Longest), cmp.Compare(a.Call, b.Call))
	})
	return waits
}

// Slot is one stretch of a timeline. A call belongs to the slot in which it
// started.
type Slot struct {
	Calls   int
	Failed  int
	Longest time.Duration
}

// Timeline divides the time from start until end into n slots.
func (m *Meter) Timeline(start, end time.Time, n int) []Slot {
	from, span := start.Sub(m.epoch), end.Sub(start)
	slots := make([]Slot, n)
	m.each(func(s sample) {
		at := s.start - from
		if at < 0 || at >= span {
			return
		}
		slot := &slots[int64(at)*int64(n)/int64(span)]
		slot.Calls++
		if s.failed {
			slot.Failed++
		}
		slot.Longest = max(slot.Longest, s.took)
	})
	return slots
}

// Quantile returns the latency that the share q (0 to 1) of the kept samples
// did not exceed, or 0 without samples.
func (m *Meter) Quantile(q float64) time.Duration {
	var all []time.Duration
	m.each(func(s sample) { all = append(all, s.took) })
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[min(int(q*float64(len(all))), len(all)-1)]
}
