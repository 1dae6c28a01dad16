package driver

import sqlite3 "github.com/mattn/go-sqlite3"

// Close never waits at the gate: a pool may be closed during a swap.
func (c *conn) Close() error {
	c.mu.Lock()
	for c.reopening != nil {
		reopened := c.reopening
		c.mu.Unlock()
		<-reopened
		c.mu.Lock()
	}
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	inner := c.detach()
	c.state.close()
	closed := c.beginClosing(inner)
	c.reserve.Release()
	c.mu.Unlock()
	err := c.closeSQLite(inner)
	closed()
	if c.db != nil {
		c.db.remove(c)
	} else {
		unmanaged.remove(c)
	}
	return err
}

// remove undoes add, once c is closed for good.
func (d *Database) remove(c *conn) {
	d.mu.Lock()
	_, ok := d.conns[c]
	delete(d.conns, c)
	delete(d.sightings, c)
	d.mu.Unlock()
	if ok {
		d.signal()
		d.release()
	}
}

// detach takes the SQLite connection from c, to be closed, after finalizing every
// statement: while one is left, sqlite3_close_v2, which go-sqlite3 uses, returns
// SQLITE_OK with the files still open (https://www.sqlite.org/c3ref/close.html). The
// caller owns c and holds mu.
func (c *conn) detach() (inner *sqlite3.SQLiteConn) {
	if c.inner == nil {
		return nil
	}
	for r := c.rows; r != nil; r = c.rows {
		c.killRows(r)
	}
	for s := c.stmts; s != nil; s = s.next {
		s.closeInner()
	}
	c.cache.close()
	c.control.close()
	c.ahead.close()
	c.cancel.interrupter.clear()
	inner, c.inner = c.inner, nil
	c.holds = 0
	c.raw = false
	c.endWriting()
	return inner
}

// beginClosing tells a freeze that the SQLite connection that c had is still being
// closed, until closed is called. The caller holds mu.
func (c *conn) beginClosing(inner *sqlite3.SQLiteConn) (closed func()) {
	if inner == nil {
		return func() {}
	}
	closing := make(chan struct{})
	c.closing = closing
	return func() {
		c.mu.Lock()
		c.closing = nil
		c.mu.Unlock()
		close(closing)
	}
}

func (c *conn) closeSQLite(inner *sqlite3.SQLiteConn) error {
	if inner == nil {
		return nil
	}
	err := closeSQLite(c, inner)
	if c.db != nil {
		c.db.watch.noteClosed()
	}
	return err
}

// losing lists the schemas whose content is lost when c, which is about to be closed,
// closes. The caller owns c.
func (c *conn) losing() []string {
	if c.inner == nil {
		return nil
	}
	return c.session.Losing(c.inner)
}
