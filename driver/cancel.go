package driver

import (
	"context"
	"sync"
	"time"
)

// canceller interrupts a connection's running call when its context ends.
// go-sqlite3 runs every Exec that can be cancelled on a goroutine of its own;
// here the call stays on its caller's, and a goroutine begins only if the
// context does end.
//
// An interrupt must reach the call that it is meant for, or none: SQLite keeps
// it for as long as any statement of the connection is active
// (https://www.sqlite.org/c3ref/interrupt.html). So it is given under mu, and
// only while the call runs.
type canceller struct {
	fire func()      // run, bound once
	stop func() bool // of the call that is watched; nil for none; its user's

	mu      sync.Mutex
	running bool // guarded by mu, but for its setting before run can know of the call
	ended   chan struct{}
}

// An interrupt hits nothing if it falls between two steps, or just before the first
// one; so it is repeated, first after firstRepeat, then after twice that, and so on:
// a user's function called from SQL may not feel one for long.
const (
	firstRepeat = time.Millisecond
	lastRepeat  = 128 * time.Millisecond
)

// watch begins a call that the end of ctx interrupts. The call itself must run
// with the context that watch returns, and end with unwatch.
func (c *conn) watch(ctx context.Context) (call context.Context, stop func() bool) {
	if ctx.Done() == nil || !c.interrupter.known {
		return ctx, nil // go-sqlite3 sees to it where we can't interrupt
	}
	if c.cancel.fire == nil {
		c.cancel.fire = c.interruptUntilEnded
		c.cancel.ended = make(chan struct{})
	}
	c.cancel.running = true
	c.cancel.stop = context.AfterFunc(ctx, c.cancel.fire)
	return context.Background(), c.cancel.stop
}

// unwatch ends the call, with its error. Like go-sqlite3's, it is ctx.Err() only
// if an interrupt hit: what was done all the same is done. No interrupt for this
// call is on its way any more when it returns.
func (c *conn) unwatch(ctx context.Context, stop func() bool, err error) error {
	c.cancel.stop = nil
	if stop == nil || stop() {
		return err
	}
	c.cancel.mu.Lock()
	c.cancel.running = false
	c.cancel.mu.Unlock()
	c.cancel.ended <- struct{}{}
	if isInterrupt(err) {
		return ctx.Err()
	}
	return err
}

func (c *conn) interruptUntilEnded() {
	for repeat := firstRepeat; ; repeat = min(2*repeat, lastRepeat) {
		c.cancel.mu.Lock()
		if c.cancel.running {
			c.interrupt()
		}
		c.cancel.mu.Unlock()
		select {
		case <-c.cancel.ended:
			return
		case <-time.After(repeat):
		}
	}
}
