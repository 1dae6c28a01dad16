package sockserver

import (
	"context"
	"fmt"
	"sync"
	"time"

	"hotswap/internal/extents"
	"hotswap/internal/transfer"
	"hotswap/swapper"
)

// heldSnapshot is a snapshot that a client has had taken: the base of what it will push,
// or what it will pull only a part of. Between requests it is in a heldSnapshots.
type heldSnapshot struct {
	transfer.Held
	id     string
	path   string // of its database
	layout extents.Layout
	report swapper.Report  // of its taking
	free   func()          // gives up its place among the pulls
	gone   context.Context // ends with the connection that it is released with, if there is one

	idle *time.Timer
	stay func() bool // ends the wait for gone
}

// stopWaiting ends what would release it.
func (h *heldSnapshot) stopWaiting() {
	h.idle.Stop()
	h.stay()
}

// Write is never called; see [transfer.Holder].
func (h *heldSnapshot) Write([]byte) (int, error) { panic("a held snapshot is not written to") }

// Hold is for package swapper.
func (h *heldSnapshot) Hold(held transfer.Held) { h.Held = held }

// release removes it. Whoever has it, and does not put it back, calls that once.
func (h *heldSnapshot) release() {
	if h.Held != nil {
		h.Held.Release()
	}
	h.free()
}

// heldSnapshots are those that wait for their clients' next requests. One that waits for
// too long is removed, or whose client is gone, and so are all of them at the end: each
// takes as much disk space as its database.
type heldSnapshots struct {
	patience time.Duration

	mu     sync.Mutex // guards what follows
	byID   map[string]*heldSnapshot
	closed bool
}

// put has h wait for its next request.
func (s *heldSnapshots) put(h *heldSnapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		h.release()
		return
	}
	s.byID[h.id] = h
	giveUp := func() {
		if s.remove(h.id) != nil {
			h.release()
		}
	}
	h.idle = time.AfterFunc(s.patience, giveUp)
	h.stay = context.AfterFunc(h.gone, giveUp)
}

// take has the caller own the snapshot of that id, until it puts it back or releases it.
func (s *heldSnapshots) take(id string) (*heldSnapshot, error) {
	h := s.remove(id)
	if h == nil {
		return nil, fmt.Errorf("%w: nothing is held as %q, which is kept for %s between requests, and is for one request at a time",
			transfer.ErrNotHeld, id, s.patience)
	}
	h.stopWaiting()
	return h, nil
}

// remove returns nil if there is none of that id.
func (s *heldSnapshots) remove(id string) *heldSnapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.byID[id]
	delete(s.byID, id)
	return h
}

// close releases those that wait, and those that would be put.
func (s *heldSnapshots) close() {
	s.mu.Lock()
	s.closed = true
	all := s.byID
	s.byID = nil
	s.mu.Unlock()
	for _, h := range all {
		h.stopWaiting()
		h.release()
	}
}
