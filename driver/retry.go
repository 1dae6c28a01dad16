package driver

import (
	"context"
	"errors"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/door"
	"hotswap/internal/sqltext"
)

func isBusy(err error) bool {
	var se sqlite3.Error
	return errors.As(err, &se) && se.Code == sqlite3.ErrBusy
}

// busyRace is how long after an overwriting a call may still come back with the
// SQLITE_BUSY that it got from it.
const busyRace = time.Second

// readonlyMoved is SQLITE_READONLY_DBMOVED: with a rollback journal SQLite notices
// before a write that another file is at the path.
var readonlyMoved = sqlite3.ErrReadonly.Extend(4)

// noFile is SQLITE_IOERR_FSTAT: SQLite looks at the database's file before it opens a
// WAL or a journal, and nothing was at the path.
var noFile = sqlite3.ErrIoErr.Extend(7)

// leavesFile reports whether an error of SQLite's comes from a file that was moved away
// or replaced.
func leavesFile(se sqlite3.Error) bool {
	return se.ExtendedCode == readonlyMoved || se.ExtendedCode == noFile
}

// awaitRetry reports whether a call that returned err is to be retried, after waiting
// for the end of the overwriting that was in its way, or for the connections to move to
// the file now at the path. Within a transaction SQLite decides: a write of one that
// has read what was there before fails for good. A text of several statements is not
// retried, since the first may have been done. The call is over, except for the rows
// whose first step it is.
func (c *conn) awaitRetry(ctx context.Context, query string, err error, rows *rows) bool {
	var refused *refusedError
	if errors.As(err, &refused) {
		return !sqltext.Classify(query).Several && !c.transacting(rows) && c.settle(ctx, err) == nil
	}
	var se sqlite3.Error
	if !errors.As(err, &se) || se.Code != sqlite3.ErrBusy && !leavesFile(se) {
		return false
	}
	if sqltext.Classify(query).Several {
		return false
	}
	if se.ExtendedCode == noFile {
		return rows == nil && !c.transacting(rows) && c.awaitFiles(ctx)
	}
	if leavesFile(se) {
		return c.db != nil && rows == nil && !c.transacting(rows) && c.leaves(ctx)
	}
	return c.repeatable(rows, se) && c.sitOut(ctx, query)
}

// sitOut reports whether what got SQLITE_BUSY got it from an overwriting, and is to be
// retried now that this is over.
func (c *conn) sitOut(ctx context.Context, query string) bool {
	o := c.overwriting()
	if o == nil {
		return false
	}
	if o.over() {
		// Only once: a call that was retried has waited for the same end.
		if time.Since(o.end) > busyRace || c.retried == o {
			return false
		}
	} else if c.awaitOverwriting(ctx, query, o) != nil {
		return false
	}
	c.retried = o
	return true
}

// awaitFiles waits until c's own file and all its managed ones are there.
func (c *conn) awaitFiles(ctx context.Context) bool {
	if !c.mayRetry() {
		return false
	}
	var paths []string
	for _, h := range door.Of(c) {
		paths = append(paths, h.Path)
	}
	return len(paths) > 0 && c.settle(ctx, &refusedError{paths: paths, err: ErrReplaced}) == nil
}

// leaves reports whether c has left a file that is no longer at the path, or is about
// to. While nothing is at the path there is nowhere to go: it then waits as long as
// moving the next file there may take.
func (c *conn) leaves(ctx context.Context) bool {
	current := func() *sqlite3.SQLiteConn {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.reopening != nil {
			return nil
		}
		return c.inner
	}
	was := current()
	for began := time.Now(); ; {
		select {
		case <-c.db.adopt().ended:
		case <-ctx.Done():
			return false
		}
		if now := current(); now == nil || now != was {
			return true
		}
		if c.db.refusing() || !c.db.moved() && time.Since(began) > watchEvery || time.Since(began) > adoptTimeout {
			return false
		}
		select {
		case <-time.After(firstWindow):
		case <-ctx.Done():
			return false
		}
	}
}

func (c *conn) awaitOverwriting(ctx context.Context, query string, o *overwriting) error {
	if c.db == nil {
		select {
		case <-o.ended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	waited := c.db.beginWait(c, query)
	if err := c.db.await(ctx, o.ended); err != nil {
		return err
	}
	waited.end()
	return nil
}

// repeatable reports whether the call of c that got SQLITE_BUSY left everything as it
// was: if it was within a transaction, that is still open.
func (c *conn) repeatable(but *rows, err sqlite3.Error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reopening != nil {
		return true // Reconnect has it, or it is lent, so it holds nothing
	}
	if state := c.state.load().state(); state == stateBusy || but != nil && state != stateHeld {
		return false
	}
	if c.inTransaction() {
		return err.ExtendedCode != sqlite3.ErrBusySnapshot // what it has read is gone
	}
	return !c.raw && c.holds == c.countRows()
}

// transacting reports whether c, between two calls, is in a transaction or has Rows
// open other than these.
func (c *conn) transacting(but *rows) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reopening != nil {
		return false // Reconnect has it, or it is lent, so it holds nothing
	}
	switch state := c.state.load().state(); {
	case but == nil && state != stateIdle && state != stateFrozen, but != nil && state != stateHeld:
		return true
	}
	return c.inTransaction() || c.rows != but || but != nil && but.next != nil
}
