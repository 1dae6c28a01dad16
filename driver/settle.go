package driver

import (
	"context"
	"errors"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/lognote"
)

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

// settleEvery is how often it is checked whether a file has become complete.
const settleEvery = 20 * time.Millisecond

// disturbed turns an error from opening files in the scope into one that is retried
// (see settle), if somebody just replacing one of them caused it: it was refused at the
// door; or SQLite found nothing at the path when it looked for the WAL; or, where the
// DSN sets the journal mode, somebody had it open who is about to close it.
func (c *conn) disturbed(scope *door.Scope, err error, setsJournal bool) error {
	paths := scope.Refused()
	var se sqlite3.Error
	if len(paths) == 0 && errors.As(err, &se) && (leavesFile(se) || setsJournal && se.Code == sqlite3.ErrBusy) && c.mayRetry() {
		paths = scope.Guarded()
	}
	if len(paths) == 0 {
		return err
	}
	return &refusedError{paths: paths, err: err, suspected: len(scope.Refused()) == 0}
}

// mayRetry bounds for how long what was disturbed is retried.
func (c *conn) mayRetry() bool {
	now := time.Now().UnixNano()
	c.disturbedSince.CompareAndSwap(0, now)
	return time.Duration(now-c.disturbedSince.Load()) < max(c.dsn.BusyTimeout, watchEvery)
}
