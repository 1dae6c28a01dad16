package driver

import (
	"context"
	"errors"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// overwriting is the time during which a new content is written in place: the
// one who does has SQLite's write lock, for longer than a busy timeout may last.
type overwriting struct {
	ended chan struct{}
	end   time.Time // valid once ended is closed
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

// again reports whether a call that returned err is to be made again, once it
// has waited for the end of the overwriting that was in its way. Within a
// transaction it is not: what the transaction has read is gone. Neither is a
// text of several statements, of which the first may have been done. The call is
// over, but for the rows that it is the first step of.
func (c *conn) again(ctx context.Context, query string, err error, rows *rows) bool {
	if err == nil || c.db == nil {
		return false
	}
	o := c.db.overwriting.Load()
	var se sqlite3.Error
	if o == nil || !errors.As(err, &se) || se.Code != sqlite3.ErrBusy || severalStatements(query) || c.transacting(rows) {
		return false
	}
	select {
	case <-o.ended:
		// Once: who made this call again has waited for the same end.
		if time.Since(o.end) > busyRace || c.retried == o {
			return false
		}
	default:
		waited := c.db.beginWait(c, query)
		if c.db.await(ctx, o.ended) != nil {
			return false
		}
		waited.end()
	}
	c.retried = o
	return true
}

// transacting reports whether c, between two calls, is in a transaction or has
// other Rows open than these.
func (c *conn) transacting(but *rows) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	want := uint64(stateIdle)
	if but != nil {
		want = stateHeld
	}
	return c.state.Load()&stateMask != want || c.inTransaction() || c.rows != but || but != nil && but.next != nil
}
