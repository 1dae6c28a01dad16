package driver

import (
	"context"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/session"
	"hotswap/internal/sqltext"
)

// queues reports whether c is managed, does not have the place in the writers' queue, and
// may be met by another writer: one may open a connection during a transaction.
func (c *conn) queues() bool {
	return c.db != nil && c.place == placeNone && (c.begun || c.db.several.Load())
}

// queue takes the place for a text, if that writes or gets the write lock, and has to wait
// for that as long as another has it. The text may be that of s. An error ends the call.
//
// A transaction that begins without the write lock gets it with its first write; so that
// is when it queues, and only if it has read nothing before. Nothing that has waits for
// another writer, whose commit could be what makes it fail.
func (c *conn) queue(ctx context.Context, query string, s *stmt, args int) error {
	if !c.writesMain(query) || c.tryPlace() {
		return nil
	}
	patience := c.patience()
	if patience <= 0 || !c.needsLock(query, s, args) {
		return nil
	}
	return c.awaitPlace(ctx, query, patience)
}

// writesMain is what a text's first words tell. Which file one writes is known only of a
// connection without temporary tables and attached files, but BEGIN locks them all.
func (c *conn) writesMain(query string) bool {
	return sqltext.BeginsWriting(query, c.executes) && c.waits() &&
		(!c.session.Temp && !c.session.Attached && len(c.hooked) == 0 || sqltext.BeginsWithBegin(query))
}

// waits reports whether c waits for the write lock while another connection has it. Those
// of a shared cache fail at once, and without locks there is nothing to wait for.
func (c *conn) waits() bool { return !c.dsn.Shared && !c.dsn.Unlocked }

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

// needsLock reports whether the first statement of a text needs main's write lock, or may.
// One does not that fails before it runs, that only reads, or that makes what there is if it
// does not exist. The caller owns c.
func (c *conn) needsLock(query string, s *stmt, args int) bool {
	i := &c.cancel.interrupter
	if c.extended() && i.known && i.handle.UsesTemp() && !sqltext.BeginsWithBegin(query) {
		return false // a hook or Raw may have made the table that it writes
	}
	if s == nil {
		s = c.cache.find(query)
	}
	defines := sqltext.Defines(query)
	if s != nil && s.inner != nil && !defines {
		return s.numInput <= args && !s.inner.Readonly()
	}
	if c.extended() {
		return true // what is compiled may be seen
	}
	compiled, err := c.compile(query)
	if err != nil {
		return isBusy(err)
	}
	defer compiled.Close()
	if compiled.NumInput() > args || compiled.(*sqlite3.SQLiteStmt).Readonly() {
		return false
	}
	if !defines {
		return true
	}
	program, err := explain(c.inner, query)
	return err != nil || program.WritesMain()
}

// takePlace takes the place for the transaction that is about to begin with the write
// lock, for the call of c that has begun. An error ends the call.
func (c *conn) takePlace(ctx context.Context, query string) error {
	if !c.waits() || c.tryPlace() {
		return nil
	}
	patience := c.patience()
	if patience <= 0 {
		return nil
	}
	return c.awaitPlace(ctx, query, patience)
}

func (c *conn) tryPlace() bool {
	if !c.db.writers.try() {
		return false
	}
	c.place = placeInDoubt
	return true
}

// patience is for how long c may wait for the place: not at all if it would wait with
// SQLite's lock, or in vain.
func (c *conn) patience() time.Duration {
	if c.transacts() || c.mayNotWrite() {
		return 0
	}
	return min(c.db.writers.patience, c.busyTimeout())
}

// awaitPlace takes the place once it is free, unless that takes too long. The call of c
// that has begun ends meanwhile, so that no freeze waits for it, and begins again.
func (c *conn) awaitPlace(ctx context.Context, query string, patience time.Duration) error {
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
		if c.tryPlace() {
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
