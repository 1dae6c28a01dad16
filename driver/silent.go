package driver

import (
	"sync"
	"time"

	"hotswap/internal/peers"
)

const (
	// silentPatience bounds the wait for those who have not answered before.
	silentPatience = peers.Silence / 20
	// silentFor is for how long that counts: a peer may have been busy, or stopped.
	silentFor = 10 * peers.Silence
)

// silent are the endpoints, by their names, whose processes were asked and did not answer in
// time, and since when. It is a leaf.
var silent = silentOnes{since: map[string]time.Time{}}

type silentOnes struct {
	mu    sync.Mutex
	since map[string]time.Time
}

func (s *silentOnes) note(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since[name] = time.Now()
}

func (s *silentOnes) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.since, name)
}

// has reports whether it is one of them, and forgets those of long ago.
func (s *silentOnes) has(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other, since := range s.since {
		if time.Since(since) > silentFor {
			delete(s.since, other)
		}
	}
	_, is := s.since[name]
	return is
}
