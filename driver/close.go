package driver

import (
	"cmp"
	"slices"

	sqlite3 "github.com/mattn/go-sqlite3"
)

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
	}
	return err
}

// closeAll closes the SQLite connections, all drained, one after another: if two closed
// at once, neither might be the last, which has to remove the WAL. It holds no lock
// meanwhile. It leaves so many open as keep says.
func (dr *drain) closeAll(keep int) int {
	d := dr.d
	d.mu.Lock()
	all := make([]*conn, 0, len(d.conns))
	for c := range d.conns {
		if dr.concerns(c) {
			all = append(all, c)
		}
	}
	d.mu.Unlock()
	slices.SortFunc(all, func(a, b *conn) int { return cmp.Compare(a.number, b.number) }) // for a deterministic order
	var each, shared int
	if dr.scarce {
		each, shared = descriptorsOf(d.Path())
	}
	var closed []*conn
	for _, c := range all {
		c.mu.Lock()
		if keep > 0 && c.inner != nil {
			keep--
			c.mu.Unlock()
			continue
		}
		if !c.closed {
			dr.frozen.lost = append(dr.frozen.lost, c.losing()...)
			c.recordDeferForeignKeys()
		}
		inner := c.detach()
		if !c.closed {
			w := c.state.load()
			c.state.mustSwap(w, w.with(stateFrozen))
		}
		byPool := c.closing // being closed at the same time
		c.mu.Unlock()
		if inner != nil {
			closed = append(closed, c)
			c.closeSQLite(inner)
			c.keepDescriptors(each)
		}
		if byPool != nil {
			<-byPool
		}
	}
	for _, c := range closed {
		c.keepDescriptors(each) // SQLite keeps some until a file's last lock is released
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(closed) > 0 {
		d.reserve.Fill(shared)
	}
	return len(closed)
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
	c.interrupter.clear()
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
