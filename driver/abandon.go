package driver

import (
	"context"
	"runtime"
	"sync"

	"hotswap/internal/door"
)

// A Go function that SQLite calls (an SQL function, a hook, an authorizer) may panic.
// The panic unwinds SQLite's own frames and leaves its mutex on the connection locked:
// the next user blocks for ever or, if by chance on the same thread, carries on in the
// middle of what was interrupted. In a program that recovers from panics, as net/http
// does, a freeze would then block with the gate closed. So such a connection is never
// used again: the pool gets driver.ErrBadConn and opens another.

// abandoned keeps abandoned connections, and what belongs to them, from go-sqlite3's
// finalizers, which would block, too.
var abandoned struct {
	sync.Mutex
	all []any
}

// exitPanicking is exit during a panic.
func (c *conn) exitPanicking() {
	if throughSQLite() {
		c.abandon()
		return
	}
	c.unwatch(context.Background(), c.cancel.stop, nil)
	c.exit()
}

// endStep is deferred by each step of Rows.
func (c *conn) endStep() {
	if p := recover(); p != nil {
		if throughSQLite() {
			c.abandon()
		}
		panic(p)
	}
}

// throughSQLite reports whether the current panic has unwound frames of C. (It may
// report true needlessly if C called the whole goroutine.)
func throughSQLite() bool {
	pcs := make([]uintptr, 64)
	n := runtime.Callers(0, pcs)
	for n == len(pcs) { // all of them, however deep
		pcs = make([]uintptr, 2*len(pcs))
		n = runtime.Callers(0, pcs)
	}
	frames := runtime.CallersFrames(pcs[:n])
	for {
		frame, more := frames.Next()
		if frame.Function == "runtime.cgocallbackg" {
			return true
		}
		if !more {
			return false
		}
	}
}

// giveUp keeps what belongs to a connection of opener from being finalized, and forgets
// the files that it has open.
func giveUp(opener door.Opener, kept ...any) {
	abandoned.Lock()
	abandoned.all = append(abandoned.all, kept)
	abandoned.Unlock()
	door.Abandon(opener)
}

// abandon discards c for good. Its files stay open.
func (c *conn) abandon() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	kept := []any{c.inner, c.rows, c.control, c.cache.taken, c.cache.stmts}
	for s := c.stmts; s != nil; s = s.next {
		kept = append(kept, s.inner)
		s.inner = nil // Stmt.Close is still to come
	}
	opened := c.inner != nil
	c.closed = true
	c.inner, c.rows, c.holds, c.raw = nil, nil, 0, false
	c.cache, c.control = stmtCache{}, control{}
	c.endWriting()
	c.state.close()
	c.mu.Unlock()
	giveUp(c, kept...)
	if c.db != nil {
		if opened {
			c.db.watch.noteClosed()
		}
		c.db.remove(c)
	}
	if stop := c.cancel.stop; stop != nil && !stop() {
		go c.unwatch(context.Background(), func() bool { return false }, nil) // a pending interrupt may block, too
	}
}
