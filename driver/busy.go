package driver

import (
	"context"
	"errors"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/sqltext"
)

// overwriting is the time during which a new content is written in place: the
// one who does has SQLite's write lock, for longer than a busy timeout may last.
type overwriting struct {
	ended chan struct{}
	end   time.Time // valid once ended is closed
}

func (o *overwriting) over() bool {
	select {
	case <-o.ended:
		return true
	default:
		return false
	}
}

func (d *Database) endOverwriting() {
	if o := d.overwriting.Load(); o != nil && o.end.IsZero() {
		o.end = time.Now()
		close(o.ended)
	}
}

// busyRace is how long after an overwriting a call may still come back with the
// SQLITE_BUSY that it got from it.
const busyRace = time.Second

// readonlyMoved is SQLITE_READONLY_DBMOVED: with a rollback journal SQLite sees
// before a write that another file is at the path.
var readonlyMoved = sqlite3.ErrReadonly.Extend(4)

// again reports whether a call that returned err is to be made again, once it
// has waited for the end of the overwriting that was in its way, or has seen the
// connections move to the file that is at the path now. Within a transaction it
// is not: what the transaction has read is gone. Neither is a text of several
// statements, of which the first may have been done. The call is over, but for
// the rows that it is the first step of.
func (c *conn) again(ctx context.Context, query string, err error, rows *rows) bool {
	var se sqlite3.Error
	if !errors.As(err, &se) || se.Code != sqlite3.ErrBusy && se.ExtendedCode != readonlyMoved {
		return false
	}
	if sqltext.Classify(query).Several || c.transacting(rows) {
		return false
	}
	if se.ExtendedCode == readonlyMoved {
		return c.db != nil && rows == nil && c.leaves(ctx)
	}
	o := c.overwriting()
	if o == nil {
		return false
	}
	if o.over() {
		// Once: who made this call again has waited for the same end.
		if time.Since(o.end) > busyRace || c.retried == o {
			return false
		}
	} else if c.awaitOverwriting(ctx, query, o) != nil {
		return false
	}
	c.retried = o
	return true
}

// leaves reports whether c has left a file that is not at the path any more, or is
// about to. While nothing is at the path there is nowhere to go: the next file is
// waited for as long as it may take to be moved there.
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
	for began := time.Now(); c.db.leave(ctx) == nil; {
		if now := current(); now == nil || now != was || c.db.moved() {
			return true
		}
		if time.Since(began) > watchEvery {
			return false
		}
		select {
		case <-time.After(firstWindow):
		case <-ctx.Done():
			return false
		}
	}
	return false
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

// transacting reports whether c, between two calls, is in a transaction or has
// other Rows open than these.
func (c *conn) transacting(but *rows) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reopening != nil {
		return false // somebody else is about it, since it holds nothing
	}
	switch state := c.state.Load() & stateMask; {
	case but == nil && state != stateIdle && state != stateFrozen, but != nil && state != stateHeld:
		return true
	}
	return c.inTransaction() || c.rows != but || but != nil && but.next != nil
}
