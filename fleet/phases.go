package fleet

import (
	"slices"
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
	seen map[string][]seenPhase
}

type seenPhase struct {
	rollout.Entered
	first time.Time
}

// mostPhases is how many are remembered of a channel: a watch may be behind another one, or the
// engine be from an older copy.
const mostPhases = 8

// saw takes a progress that is told.
func (s *phases) saw(c records.Change) {
	if c.Kind != records.AProgress || c.Progress == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	entered := c.Progress.Entered()
	all := s.seen[c.Channel]
	if slices.ContainsFunc(all, func(p seenPhase) bool { return p.Entered == entered }) {
		return
	}
	if s.seen == nil {
		s.seen = map[string][]seenPhase{}
	}
	all = append(all, seenPhase{entered, time.Now()})
	s.seen[c.Channel] = all[max(0, len(all)-mostPhases):]
}

// lasted is for how long the phase of a progress is known to have lasted.
func (s *phases) lasted(channel string, p *rollout.Progress) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p != nil {
		entered := p.Entered()
		for _, seen := range s.seen[channel] {
			if seen.Entered == entered {
				return time.Since(seen.first)
			}
		}
	}
	return 0
}
