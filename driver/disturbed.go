package driver

import (
	"context"
	"errors"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/door"
)

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

// busyRace is how long after an overwriting a call may still come back with the
// SQLITE_BUSY that it got from it.
const busyRace = time.Second

// sitOut reports whether what got SQLITE_BUSY got it from an overwriting, and is to be
// retried now that this is over.
func (c *conn) sitOut(ctx context.Context, query string) bool {
	o := c.overwriting()
	if o == nil || c.drv.visits {
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

// overwriting returns the one that may have blocked c: one in progress on any file that
// c has open, else the latest of its own database.
func (c *conn) overwriting() *overwriting {
	var latest *overwriting
	if c.db != nil {
		if latest = c.db.overwriting.Load(); latest != nil && !latest.over() {
			return latest
		}
	}
	for _, h := range door.Of(c) {
		d, ok := managed(h.Path)
		if !ok || d == c.db {
			continue
		}
		if o := d.overwriting.Load(); o != nil && (latest == nil || !o.over()) {
			latest = o
		}
	}
	return latest
}

// Visit has calls that get SQLITE_BUSY wait until ended is called.
func (d insider) Visit() (ended func()) {
	return d.overwriting.begin().finish
}
