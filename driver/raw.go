package driver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/door"
)

// Raw calls fn with the SQLite connection inside c, for what database/sql does not
// cover: backups, hooks, functions. It is a call like any other: it waits at the gate,
// and no swap happens while fn runs. The connection must not be used after fn returns,
// and what fn registers on it is lost when a swap reopens it (see [WithConnectHook]).
// Raw works through an interceptor, which does not see it, and on connections of the
// pools that are passed to a push's Prepare and Validate. It returns fn's error, or its
// own if c is not a connection of this driver.
func Raw(c *sql.Conn, fn func(*sqlite3.SQLiteConn) error) error {
	return c.Raw(func(dc any) error {
		if own, ok := dc.(*ownConn); ok {
			var err error
			door.As(own, func() { err = fn(own.SQLiteConn) })
			return err
		}
		base, ok := dc.(*conn)
		if !ok {
			var req rawRequest
			if checker, isChecker := dc.(driver.NamedValueChecker); isChecker {
				checker.CheckNamedValue(&driver.NamedValue{Value: &req})
			}
			if base = req.conn; base == nil {
				return fmt.Errorf("hotswap: Raw needs a connection of this driver, not a %T", dc)
			}
		}
		if err := base.enter(context.Background(), rawCall); err != nil {
			return err
		}
		defer base.exit()
		var err error
		door.As(base, func() { err = fn(base.inner) })
		base.raw = base.inTransaction()
		base.control.begin.close() // fn may have attached a file
		base.watchAttached()
		return err
	})
}

// rawCall stands in for the query of a call of Raw.
const rawCall = "a function in driver.Raw"

// rawRequest asks the connection beneath an sqlmw layer for itself. sqlmw passes
// CheckNamedValue down without asking the interceptor.
type rawRequest struct{ conn *conn }

// interceptedConn is the connection that sqlmw wraps.
type interceptedConn struct{ *conn }

func (c interceptedConn) CheckNamedValue(v *driver.NamedValue) error {
	if req, ok := v.Value.(*rawRequest); ok {
		req.conn = c.conn
		return nil
	}
	return c.conn.CheckNamedValue(v)
}
