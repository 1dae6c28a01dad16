package swapper

import (
	"context"
	"time"

	"hotswap/driver"
	"hotswap/internal/inside"
)

// patience is the timeout of a push, which all of its waits share, whichever the method.
type patience struct {
	timeout time.Duration
	used    time.Duration // by the waits that have ended
	since   time.Time     // when the one under way began; zero if there is none
}

// wait begins a wait; end counts it. One within another is part of that one.
func (p *patience) wait() (end func()) {
	if !p.since.IsZero() {
		return func() {}
	}
	p.since = time.Now()
	return func() { p.used, p.since = p.waited(), time.Time{} }
}

func (p *patience) waited() time.Duration {
	if p.since.IsZero() {
		return p.used
	}
	return p.used + time.Since(p.since)
}

// left is what remains of the timeout.
func (p *patience) left() time.Duration { return max(p.timeout-p.waited(), 0) }

// lastAttempt is the time for what is attempted when nothing is left.
const lastAttempt = 50 * time.Millisecond

// attempt is left, and time for one attempt if nothing is.
func (p *patience) attempt() time.Duration { return max(p.left(), min(lastAttempt, p.timeout)) }

// freezingEvery is how often it is looked again whether another freeze has ended.
const freezingEvery = 5 * time.Millisecond

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// quietPause bounds how long writes wait until no transaction is open, so that a
// WAL can be truncated.
const quietPause = 20 * time.Millisecond

// quieten makes writes and new transactions wait until the thaw. Those transactions that
// have not ended after the pause are the Holders of what it returns.
func quieten(ctx context.Context, db *driver.Database, pause time.Duration) (*driver.Frozen, error) {
	return db.Freeze(ctx, inside.Extend(driver.FreezeOptions{MaxPause: pause}, inside.FreezeOptions{WritesOnly: true}))
}
