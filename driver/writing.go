package driver

import (
	"context"
	"time"

	"hotswap/internal/session"
	"hotswap/internal/sqltext"
)

// queues reports whether c is managed, does not have the place in the writers' queue, and
// may be met by another writer: one may open a connection during a transaction.
func (c *conn) queues() bool {
	return c.db != nil && c.place == placeNone && (c.begun || c.db.several.Load())
}

// queue takes the place for a text, if that writes or gets the write lock. An error ends
// the call.
//
// A transaction that begins without the write lock gets it with its first write; so that
// is when it queues, and only if it has read nothing before. Nothing that has waits for
// another writer, whose commit could be what makes it fail. Which file a text writes is
// known only of a connection without temporary tables and attached files.
func (c *conn) queue(ctx context.Context, query string, compiled bool) error {
	switch {
	case !c.writesMain(query):
		return nil
	case c.db.writers.taken() && !compiled && !c.compiles(query):
		return nil // it fails, and not only when it has waited
	}
	return c.takePlace(ctx, query)
}

func (c *conn) writesMain(query string) bool {
	return sqltext.BeginsWriting(query, c.executes) && !c.dsn.Shared && !c.session.Temp && !c.session.Attached && len(c.hooked) == 0
}

// mayNotWrite reports whether each write of c fails. The caller owns c.
func (c *conn) mayNotWrite() bool {
	i := &c.cancel.interrupter
	if i.known && i.handle.ReadOnly() {
		return true
	}
	if !c.dsn.QueryOnly && !c.session.HasPragma("query_only") {
		return false
	}
	only, ok := session.Pragma(c.inner, "query_only")
	return ok && only != int64(0)
}

// compiles reports whether the first statement of a text does, or may. The caller owns c.
func (c *conn) compiles(query string) bool {
	if c.drv.sqlite.ConnectHook != nil || c.ahead.registered || c.cache.has(query) {
		return true // the program may have functions called that see what is compiled
	}
	s, err := c.inner.Prepare(query)
	if err != nil {
		return false
	}
	s.Close()
	return true
}

// takePlace takes the place for the call of c that has begun. If it has to wait for it,
// the call ends, so that no freeze waits for it, and begins again.
func (c *conn) takePlace(ctx context.Context, query string) error {
	if c.db.writers.try() {
		c.place = placeInDoubt
		return nil
	}
	if c.transacts() || c.mayNotWrite() {
		return nil // it would wait with SQLite's lock, or in vain
	}
	patience := min(c.db.writers.patience, c.busyTimeout())
	if patience <= 0 {
		return nil
	}
	for {
		c.exit()
		queued, err := c.db.writers.enter(ctx, &c.queued, patience)
		switch {
		case err != nil:
			return err
		case queued && c.enterNow(query):
			c.place = placeInDoubt
			return nil
		case queued:
			c.db.writers.leave() // it is to wait at the gate, or to be opened
		}
		if err := c.enter(ctx, query); err != nil || !queued {
			return err
		}
		if c.db.writers.try() {
			c.place = placeInDoubt
			return nil
		}
	}
}

// enterNow is enter, if that need not wait nor open anything.
func (c *conn) enterNow(query string) bool {
	w := c.state.load()
	if w.state() == stateHeld {
		return c.enterHold(query)
	}
	if !w.free() {
		return false
	}
	c.noteQuery(w, query)
	if !c.state.swap(w, w.begun()) {
		return false
	}
	if c.inner == nil {
		c.exit()
		return false
	}
	return true
}

// busyTimeout returns how long c waits for a lock.
func (c *conn) busyTimeout() time.Duration {
	if c.drv.sqlite.ConnectHook != nil || c.session.HasPragma("busy_timeout") {
		if ms, ok := session.Pragma(c.inner, "busy_timeout"); ok {
			n, _ := ms.(int64)
			return time.Duration(n) * time.Millisecond
		}
	}
	return c.dsn.BusyTimeout
}
