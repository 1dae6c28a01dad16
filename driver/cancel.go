package driver

import (
	"context"
	"sync"
	"time"
)

// canceller interrupts a connection's running call when its context ends. go-sqlite3
// runs every Exec that can be cancelled on a goroutine of its own; here the call stays
// on its caller's, and another goroutine starts only if the context does end.
//
// An interrupt must hit the call that it is meant for, or none: SQLite keeps it for as
// long as any statement of the connection is active
// (https://www.sqlite.org/c3ref/interrupt.html). So it is sent under mu, and only while
// the call runs.
type canceller struct {
	interrupter interrupter

	fire func()      // interruptUntilEnded, bound once
	stop func() bool // of the watched call; nil for none; its user's

	mu      sync.Mutex
	running bool // guarded by mu, except when it is set, before fire can run
	ended   chan struct{}
}

// An interrupt between two steps, or just before the first, has no effect. So it is
// repeated: first after firstRepeat, then at intervals that double up to lastRepeat. A
// user's SQL function may not notice one for a long time.
const (
	firstRepeat = time.Millisecond
	lastRepeat  = 128 * time.Millisecond
)

// watch begins a call that is interrupted when ctx ends. The call must run with the
// context that watch returns, and end with unwatch.
func (cl *canceller) watch(ctx context.Context) (call context.Context, stop func() bool) {
	if ctx.Done() == nil || !cl.interrupter.known {
		return ctx, nil // where we can't interrupt, go-sqlite3 does
	}
	if cl.fire == nil {
		cl.fire = cl.interruptUntilEnded
		cl.ended = make(chan struct{})
	}
	cl.running = true
	cl.stop = context.AfterFunc(ctx, cl.fire)
	return context.Background(), cl.stop
}

// unwatch ends the call and returns its error. As with go-sqlite3, that is ctx.Err()
// only if an interrupt hit: what completed anyway is done. When it returns, no
// interrupt of this call is pending.
func (cl *canceller) unwatch(ctx context.Context, stop func() bool, err error) error {
	cl.stop = nil
	if stop == nil || stop() {
		return err
	}
	cl.mu.Lock()
	cl.running = false
	cl.mu.Unlock()
	cl.ended <- struct{}{}
	if isInterrupt(err) {
		return ctx.Err()
	}
	return err
}

func (cl *canceller) interruptUntilEnded() {
	for repeat := firstRepeat; ; repeat = min(2*repeat, lastRepeat) {
		cl.mu.Lock()
		if cl.running {
			cl.interrupter.interrupt(nil)
		}
		cl.mu.Unlock()
		select {
		case <-cl.ended:
			return
		case <-time.After(repeat):
		}
	}
}
