package driver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/door"
)

// Raw calls fn with the SQLite connection inside c, for what database/sql does not
// cover: backups, hooks, functions. It is a call like any other: it waits at the gate,
// and no swap happens while fn runs. The connection must not be used after fn returns,
// and what fn registers on it is lost when a swap reopens it (see [WithConnectHook]).
// Raw works through an interceptor, which does not see it; through other drivers around
// this one, such as those that trace or log; and on connections of the pools that are
// passed to a push's Prepare and Validate. It returns fn's error, or its own if c is not a
// connection of this driver.
//
// A forced freeze does not interrupt fn: SQLite rolls a transaction back when a write is
// interrupted, and only fn knows what of its work was in that one. The freeze fails if fn
// does not return in time. A transaction that stays open when fn returns is taken like any
// other: then Raw returns ErrForced without calling fn, until the transaction is ended by
// ROLLBACK or COMMIT as text ([sql.Conn.ExecContext]), or c is closed.
func Raw(c *sql.Conn, fn func(*sqlite3.SQLiteConn) error) error {
	return c.Raw(func(dc any) error {
		if own, ok := dc.(*ownConn); ok {
			var err error
			door.As(own, func() { err = fn(own.SQLiteConn) })
			return err
		}
		base, ok := dc.(*conn)
		if !ok {
			if base = beneath(dc); base == nil {
				return fmt.Errorf("hotswap: Raw needs a connection of this driver, or of one around it that passes arguments on, not a %T", dc)
			}
		}
		if err := base.enter(context.Background(), rawCall); err != nil {
			if errors.Is(err, ErrForced) {
				err = fmt.Errorf("%w; end the transaction with ROLLBACK as text, by sql.Conn.ExecContext, or close the sql.Conn", err)
			}
			return err
		}
		defer base.exit()
		defer base.cancel.interrupter.unshield()
		if base.cancel.interrupter.shield() && base.interrupted.Load() { // and not by a context that has ended
			base.cancel.interrupter.unshield()
			return base.conclude(sqlite3.Error{Code: sqlite3.ErrInterrupt})
		}
		var err error
		base.ahead.registered = true
		door.As(base, func() { err = fn(base.inner) })
		base.raw = base.inTransaction()
		base.doubtPlace()
		base.control.begin.close() // fn may have attached a file
		base.cache.close()         // or registered what a statement that is kept would not call
		base.watchAttached()
		return err
	})
}

// rawCall stands in for the query of a call of Raw.
const rawCall = "a function in driver.Raw"

// rawRequest asks the connection beneath other drivers for itself. It travels as an
// argument, which they pass down unchanged.
type rawRequest struct{ conn *conn }

// requestText is SQL that does nothing: a driver around another one than this may run
// it.
const requestText = "-- hotswap: driver.Raw looks for its connection"

// beneath returns the connection of this driver that is inside dc, nil if there is none
// or it can't be asked. Almost all drivers around another one have its connection check
// arguments; those that don't have it execute statements.
func beneath(dc any) *conn {
	var req rawRequest
	arg := driver.NamedValue{Ordinal: 1, Value: &req}
	if checker, ok := dc.(driver.NamedValueChecker); ok {
		checker.CheckNamedValue(&arg)
	}
	if execer, ok := dc.(driver.ExecerContext); ok && req.conn == nil {
		arg.Value = &req
		execer.ExecContext(context.Background(), requestText, []driver.NamedValue{arg})
	}
	return req.conn
}
