package repository

import (
	"context"
	"sync"
	"time"
)

// flight bounds how many chunks travel at a time. They share a line, and one that does not arrive
// within the engine's patience is sent again: so there are fewer of them, down to one, where they
// take long.
type flight struct {
	places chan struct{}
	slow   time.Duration

	mu    sync.Mutex // guards spare
	spare int        // the places that are not given now
}

// takeoff is how many travel before it is known how long they take.
const takeoff = 2

func newFlight(most int, patience time.Duration) *flight {
	f := &flight{places: make(chan struct{}, most), slow: patience / 3, spare: most - takeoff}
	for range takeoff {
		f.places <- struct{}{}
	}
	return f
}

// fly has a chunk travel.
func (f *flight) fly(ctx context.Context, travel func() error) error {
	select {
	case <-f.places:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	began := time.Now()
	err := travel()
	f.land(time.Since(began))
	return err
}

func (f *flight) land(took time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if took > f.slow && f.spare < cap(f.places)-1 {
		f.spare++
		return
	}
	if took < f.slow/4 && f.spare > 0 {
		f.spare--
		f.places <- struct{}{}
	}
	f.places <- struct{}{}
}
