package driver

import (
	"context"
	"database/sql/driver"
	"strings"
)

// The gate is not a lock that calls pass through: it is the sum of the state
// words of a database's connections. A call that finds no want mark pays two
// compare-and-swaps on a word that only its own connection's user writes.

// enter begins a call: it waits while the gate is closed to this connection, and
// reopens the SQLite connection if a swap has closed it. On success the caller owns the
// connection until exit. It returns ctx.Err() if ctx ends first, and leaves the
// connection as it was.
func (c *conn) enter(ctx context.Context, query string) error {
	w := c.state.load()
	c.noteQuery(w, query)
	if !w.free() || !c.state.swap(w, w.begun()) {
		return c.enterSlow(ctx, query)
	}
	if c.inner != nil {
		return nil
	}
	return c.revive(ctx, query)
}

// noteQuery records the query of the call that follows those counted in w. There are
// two places, for even and odd counts: an observer finds the latest call's query where
// its word says, while this one is written to the other.
func (c *conn) noteQuery(w word, query string) {
	c.queries[(w.calls()+1)%2] = query
}

// latestQuery returns the query of the call that made the word w; false if the word has
// changed, and then what was read may not even be a whole string. Any goroutine may
// call it. The place is next written by the call after next, which an unchanged word
// rules out; the race detector can't know that.
//
//go:norace
func (c *conn) latestQuery(w word) (string, bool) {
	q := c.queries[w.calls()%2]
	if !c.state.swap(w, w) {
		return "", false
	}
	return strings.Clone(q), true
}

// exit ends a call. It is deferred, and so ends one that panics, too.
func (c *conn) exit() {
	if p := recover(); p != nil {
		c.exitPanicking()
		panic(p)
	}
	w := c.state.load()
	if w.wanted() || !c.state.swap(w, w.ended(c.holds > 0)) {
		c.exitSlow()
	}
}

// enterSlow is enter for everything but an open gate.
func (c *conn) enterSlow(ctx context.Context, query string) error {
	var waited *wait
	for {
		// Fetched before the state is read: if the gate opens in between, this
		// channel is already closed and nothing is missed.
		opened := c.opened()
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return driver.ErrBadConn // as Ping of a closed go-sqlite3 connection returns
		}
		if reopened := c.reopening; reopened != nil {
			c.mu.Unlock()
			select {
			case <-reopened:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		c.holdRaw()
		w := c.state.load()
		switch s := w.state(); {
		case s == stateHeld, s == stateIdle && (!w.wanted() || c.db.admits(query)):
			ok := c.state.swap(w, w.begun())
			c.mu.Unlock()
			if !ok {
				continue
			}
			waited.end()
			if c.inner != nil {
				return nil
			}
			return c.revive(ctx, query)
		case s == stateBusy, !w.wanted():
			// Busy, but not claimed, which would hold mu, nor in Reconnect; or frozen
			// with no mark.
			c.mu.Unlock()
			panic("hotswap: concurrent calls on one connection (" + w.String() + ")")
		}
		c.mu.Unlock()
		if c.lost.Load() != 0 {
			if err := c.lostError(query); err != nil {
				return err
			}
		}
		if c.db.refusing() {
			return ErrReplaced
		}
		if waited == nil {
			waited = c.db.beginWait(c, query)
		}
		if err := c.db.await(ctx, opened); err != nil {
			return err
		}
	}
}

// admits reports whether a marked connection may be used for the query.
func (d *Database) admits(query string) bool {
	f := d.filter.Load()
	return f != nil && !f.stops(query)
}

// exitSlow is exit for a connection that a freeze wants.
func (c *conn) exitSlow() {
	// Under mu, so that no observer sees a state that is still to be corrected.
	c.mu.Lock()
	w := c.state.move(func(w word) word {
		return w.ended(c.holds > 0 || w.wanted() && c.inTransaction())
	})
	c.mu.Unlock()
	if w.drained() {
		c.db.signal()
	}
}

// enterHold begins the end of a hold (Rows.Close, Commit, Rollback): it never waits. It
// returns false if a forced freeze took the hold.
func (c *conn) enterHold(query string) bool {
	w := c.state.load()
	c.noteQuery(w, query)
	if w.state() == stateHeld && !w.wanted() && c.state.swap(w, w.begun()) {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		w := c.state.load()
		if w.state() != stateHeld {
			return false
		}
		if c.state.swap(w, w.begun()) {
			return true
		}
	}
}

// inTransaction reports whether SQLite has a transaction open on c, however it was
// begun. The caller owns c, or holds mu while c is idle.
func (c *conn) inTransaction() bool {
	return c.inner != nil && !c.inner.AutoCommit()
}
