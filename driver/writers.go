package driver

import (
	"context"
	"time"
)

// writerQueue lines up a database's transactions that begin with the write lock
// (_txlock=immediate or exclusive). SQLite makes them sleep and retry, up to 100 ms at
// a time, while the lock may be free, and gives it to whoever retries first
// (sqliteDefaultBusyCallback). In the queue the next one begins the moment the last one
// ends; and it waits there before its call begins, so that a swap need not wait for it.
//
// It is an aid, not a lock: writers that begin by SQL text or in another process are
// not in it, and one that has waited for queuePatience goes on to wait for SQLite's
// lock as usual, up to the busy timeout.
type writerQueue chan struct{} // has room for one: the writer

const queuePatience = 100 * time.Millisecond

func newWriterQueue() writerQueue { return make(writerQueue, 1) }

// enter waits for the place for up to patience; false if it did not get it.
func (q writerQueue) enter(ctx context.Context, patience time.Duration) (bool, error) {
	select {
	case q <- struct{}{}:
		return true, nil
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case q <- struct{}{}:
		return true, nil
	case <-timer.C:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (q writerQueue) leave() { <-q }
