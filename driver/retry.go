package driver

import (
	"context"
	"errors"
	"slices"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/lognote"
	"hotswap/internal/sqltext"
)

// awaitRetry reports whether a call that returned err is to be retried, after waiting
// for the end of the overwriting that was in its way, or for the connections to move to
// the file now at the path. Within a transaction SQLite decides: a write of one that
// has read what was there before fails for good. A text of several statements is retried
// only if none of them has been done. The call is over, except for the rows whose first
// step it is.
func (c *conn) awaitRetry(ctx context.Context, query string, err error, rows *rows) bool {
	var refused *refusedError
	if errors.As(err, &refused) {
		return !sqltext.Classify(query).Several && !c.transacting(rows) && c.settle(ctx, err) == nil
	}
	var se sqlite3.Error
	if !errors.As(err, &se) || se.Code != sqlite3.ErrBusy && !leavesFile(se) {
		return false
	}
	if sqltext.Classify(query).Several && (rows != nil || !c.unchanged || !onlyChanges(query)) {
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

// onlyChanges reports whether each statement of a text inserts, updates or deletes rows, so
// that it has done nothing if it has changed none.
func onlyChanges(query string) bool {
	return !slices.ContainsFunc(sqltext.Statements(query), func(st sqltext.Statement) bool {
		return sqltext.Classify(st.Text).First&sqltext.Changes == 0
	})
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
	but = but.listed()
	return c.inTransaction() || c.rows != but || but != nil && but.next != nil
}

// settle waits, if err is from an open that was refused, until it may be retried; any
// other error it returns. The caller is in no call: what it waits for may have to wait
// for the calls of c.
func (c *conn) settle(ctx context.Context, err error) error {
	if isBusy(err) && c.sitOut(ctx, "connect") {
		return nil
	}
	var locked *lockedError
	if errors.As(err, &locked) {
		return c.awaitUnlocked(ctx, locked)
	}
	if !errors.Is(err, ErrReplaced) {
		return err
	}
	dbs := []*Database{}
	var refused *refusedError
	if errors.As(err, &refused) {
		if !refused.suspected && !c.mayRetry() {
			return err
		}
		for _, path := range refused.paths {
			if d, ok := managed(path); ok {
				dbs = append(dbs, d)
			}
		}
	} else if c.db != nil {
		dbs = append(dbs, c.db)
	}
	if len(dbs) == 0 {
		return err
	}
	for _, d := range dbs {
		gone := fileid.None
		if d == c.db {
			gone = c.gone
		}
		if err := d.settle(ctx, c.dsn.BusyTimeout, gone); err != nil {
			return err
		}
	}
	if refused != nil {
		select {
		case <-time.After(firstWindow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// awaitUnlocked waits before the next try to attach a database that somebody has
// locked, which has already taken the busy timeout.
func (c *conn) awaitUnlocked(ctx context.Context, locked *lockedError) error {
	if c.db != nil && c.disturbedSince.CompareAndSwap(0, time.Now().UnixNano()) {
		lognote.Send(c.db.warn().Err(locked), "a connection that a swap has closed can't be opened again while this is locked: its next call waits")
	}
	select {
	case <-time.After(settleEvery):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// settle waits until a connection may be opened again, after an open that failed. It
// gives up after patience, the time for which the program waits for a lock. gone is the
// file that was missing when the connection's pool was made.
func (d *Database) settle(ctx context.Context, patience time.Duration, gone fileid.ID) error {
	anew := &anew{d: d, gone: gone}
	defer anew.end()
	if gone != fileid.None {
		patience = max(patience, 2*stillFor)
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		anew.look()
		select {
		case <-d.adopt().ended:
		case <-ctx.Done():
			return ctx.Err()
		}
		err := anew.err(d.mayOpen())
		if err == nil || d.refusesReplaced() {
			return err
		}
		select {
		case <-time.After(settleEvery):
		case <-late.C:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
