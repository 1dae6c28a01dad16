package driver

import (
	"context"
	"runtime"
	"sync"

	"hotswap/internal/door"
)

// A Go function that SQLite calls (one registered for SQL, a hook, an authorizer)
// may panic. That unwinds SQLite's own frames, and its mutex on the connection
// stays taken: whoever asks something of it then waits for ever, or, by chance on
// the same thread, goes on in the midst of what was interrupted. In a program that
// recovers from the panic, as net/http does, it would be a freeze that waits, with
// the gate closed. So nobody asks such a connection anything any more: the pool
// gets driver.ErrBadConn, and opens another.

// abandoned keeps the connections that were given up, with what belongs to them,
// from go-sqlite3's finalizers, which would wait, too.
var abandoned struct {
	sync.Mutex
	all []any
}

// exitPanicking is exit on a panic.
func (c *conn) exitPanicking() {
	if throughSQLite() {
		c.abandon()
		return
	}
	c.unwatch(context.Background(), c.cancel.stop, nil)
	c.exit()
}

// endStep is the deferred end of a step of Rows.
func (c *conn) endStep() {
	if p := recover(); p != nil {
		if throughSQLite() {
			c.abandon()
		}
		panic(p)
	}
}

// throughSQLite reports whether the panic that goes on has unwound frames of C.
// (If the whole goroutine was called from C it may say so without need.)
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

// giveUp keeps what belongs to a connection of the opener's, and forgets what that has
// open.
func giveUp(opener door.Opener, kept ...any) {
	abandoned.Lock()
	abandoned.all = append(abandoned.all, kept)
	abandoned.Unlock()
	door.Abandon(opener)
}

// abandon gives c up for good. What it has open stays open.
func (c *conn) abandon() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	kept := []any{c.inner, c.rows, c.control, c.cache.taken, c.cache.stmts}
	for s := c.stmts; s != nil; s = s.next {
		kept = append(kept, s.inner)
		s.inner = nil // Stmt.Close comes yet
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
		go c.unwatch(context.Background(), func() bool { return false }, nil) // an interrupt on its way may wait, too
	}
}
