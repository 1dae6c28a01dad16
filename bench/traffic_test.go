package bench

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// call is one call of a worker, as its caller felt it: with all its retries.
type call struct {
	kind        kind
	start, took time.Duration // start since the traffic's
	failed      bool          // at least once
	old         bool          // it began after a swap, and read what was before
	mixed       bool          // it read both
}

func (c call) end() time.Duration { return c.start + c.took }

// span is the time of one swap, from the request to its end.
type span struct{ start, end time.Duration }

// pace is how long a worker rests between two calls: a busy program, not one
// whose every latency is made of waiting for a processor.
const pace = 500 * time.Microsecond

// traffic is workers that call without end, and what they felt.
type traffic struct {
	began   time.Time
	current atomic.Int64 // the generation that every new call must see
	stopped atomic.Bool
	workers sync.WaitGroup
	swaps   []span

	mu     sync.Mutex // guards what follows
	calls  []call
	errors [kinds]error // the first of each kind
}

// startTraffic has every kind's callers call. close ends a caller.
func startTraffic(generation int64, crew [kinds]int, caller func(kind) (call func(int) (seen, error), close func())) *traffic {
	t := &traffic{began: time.Now()}
	t.current.Store(generation)
	for k, n := range crew {
		for range n {
			t.workers.Go(func() {
				run, end := caller(kind(k))
				defer end()
				t.work(kind(k), run)
			})
		}
	}
	return t
}

func (t *traffic) stop() {
	t.stopped.Store(true)
	t.workers.Wait()
}

func (t *traffic) work(k kind, run func(int) (seen, error)) {
	var calls []call
	var first error
	for i := 0; !t.stopped.Load(); i++ {
		current := t.current.Load()
		start := time.Now()
		saw, err := run(i)
		c := call{kind: k, start: start.Sub(t.began), failed: err != nil}
		for err != nil && !t.stopped.Load() {
			if first == nil {
				first = fmt.Errorf("%s: %w", k, err)
			}
			time.Sleep(time.Millisecond)
			saw, err = run(i)
		}
		c.took = time.Since(start)
		if err == nil {
			c.old, c.mixed = saw.Low < current, saw.Low != saw.High
		}
		calls = append(calls, c)
		time.Sleep(pace)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls = append(t.calls, calls...)
	if t.errors[k] == nil {
		t.errors[k] = first
	}
}

// swap runs one swap to a generation, and notes when it was.
func (t *traffic) swap(generation int64, run func() error) error {
	start := time.Since(t.began)
	err := run()
	t.swaps = append(t.swaps, span{start, time.Since(t.began)})
	if err == nil {
		t.current.Store(generation)
	}
	return err
}

const (
	settle = 20 * time.Millisecond
	rest   = 100 * time.Millisecond // between two swaps
)

// stalls returns the longest call over each swap, in milliseconds: of all that
// were under way within it or shortly after.
func (t *traffic) stalls() []float64 {
	return t.longest(func(s span, c call) bool { return c.start < s.end+settle && c.end() > s.start })
}

// calm returns the longest calls of as many times without a swap.
func (t *traffic) calm() []float64 {
	return t.longest(func(s span, c call) bool { return c.start > s.start-rest/2 && c.end() < s.start })
}

func (t *traffic) longest(counts func(span, call) bool) []float64 {
	out := make([]float64, len(t.swaps))
	for i, s := range t.swaps {
		for _, c := range t.calls {
			if counts(s, c) {
				out[i] = max(out[i], milliseconds(c.took))
			}
		}
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
