package fleet

import (
	"sync"
	"time"

	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// phases is for how long this node has seen the rollouts in their phases, by its own clock,
// which neither the engine's steps nor the wall's: a soak is as long as it is to be, whatever
// happens to those. A node that becomes the controller has seen them before, unless it has
// just joined, or has no database of the channel: then a phase begins anew, and is longer.
type phases struct {
	mu   sync.Mutex // guards seen
	seen map[string]seenPhase
}

type seenPhase struct {
	entered  rollout.Entered
	revision uint64
	first    time.Time
}

// saw takes a progress that is told.
func (s *phases) saw(c records.Change) {
	if c.Kind != records.AProgress || c.Progress == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	last, known := s.seen[c.Channel]
	if known && c.Revision <= last.revision { // by a watch that is behind
		return
	}
	now := seenPhase{c.Progress.Entered(), c.Revision, time.Now()}
	if known && now.entered == last.entered {
		now.first = last.first
	}
	if s.seen == nil {
		s.seen = map[string]seenPhase{}
	}
	s.seen[c.Channel] = now
}

// lasted is for how long the phase of a progress is known to have lasted.
func (s *phases) lasted(channel string, p *rollout.Progress) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, known := s.seen[channel]; known && p != nil && p.Entered() == last.entered {
		return time.Since(last.first)
	}
	return 0
}

// forget forgets what an engine has told that is another one now.
func (s *phases) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = nil
}
