package driver

import "context"

// endStep is deferred by each step of Rows.
func (c *conn) endStep() {
	if p := recover(); p != nil {
		if throughSQLite() {
			c.abandon()
		}
		panic(p)
	}
}

// abandon discards c for good, after a panic through SQLite (see panics.go). Its files
// stay open.
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
	} else {
		unmanaged.remove(c)
	}
	if stop := c.cancel.stop; stop != nil && !stop() {
		go c.cancel.unwatch(context.Background(), func() bool { return false }, nil) // a pending interrupt may block, too
	}
}
