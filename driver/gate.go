package driver

import (
	"context"
	"database/sql/driver"
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

// exit ends a call. It is deferred, and so ends one that panics, too.
func (c *conn) exit() {
	if p := recover(); p != nil {
		c.exitPanicking()
		panic(p)
	}
	if c.place == placeInDoubt {
		c.settlePlace()
	}
	w := c.state.load()
	if w.wanted() || !c.state.swap(w, w.ended(c.holds > 0)) {
		c.exitSlow()
	}
}

// exitPanicking is exit during a panic.
func (c *conn) exitPanicking() {
	if throughSQLite() {
		c.abandon()
		return
	}
	c.cancel.unwatch(context.Background(), c.cancel.stop, nil)
	c.exit()
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
