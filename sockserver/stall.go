package sockserver

import (
	"context"
	"sync"
	"time"
)

// stallGuard keeps one direction of a connection under a deadline that moves
// as long as bytes do, and ends it at once when the context does.
//
// It is for the time of a transfer only: while the operation continues, net/http
// reads in the background, and a deadline that fired then would look like a
// client that left.
type stallGuard struct {
	limit time.Duration
	set   func(time.Time) error // of http.ResponseController; errors mean "not supported here"
	stop  func() bool

	mu sync.Mutex // guards the rest, and orders the calls of set
	// moveAt is when the deadline is next worth moving: not at every read.
	moveAt time.Time
	// final is set once the deadline must stay where it is.
	final bool
}

func newStallGuard(ctx context.Context, limit time.Duration, set func(time.Time) error) *stallGuard {
	g := &stallGuard{limit: limit, set: set}
	g.stop = context.AfterFunc(ctx, func() { g.finish(time.Unix(1, 0)) })
	return g
}

// alive says that the next read or write may take the full limit.
func (g *stallGuard) alive() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if g.final || now.Before(g.moveAt) {
		return
	}
	g.moveAt = now.Add(g.limit / 16)
	g.set(now.Add(g.limit + g.limit/16))
}

// release takes the deadline away.
func (g *stallGuard) release() {
	g.stop()
	g.finish(time.Time{})
}

// linger leaves a last full limit for what net/http still has in its buffer;
// it takes the deadline away itself, once that is written.
func (g *stallGuard) linger() {
	g.stop()
	g.finish(time.Now().Add(g.limit))
}

func (g *stallGuard) finish(deadline time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.final {
		return
	}
	g.final = true
	g.set(deadline)
}
