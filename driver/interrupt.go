package driver

import (
	"context"
	"database/sql/driver"
	"errors"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/sqltext"
)

// What a forced freeze took away without its owner knowing it yet.
const (
	lostTx  = 1 // a Tx: told at Commit, Rollback, or a call in between
	lostRaw = 2 // a transaction begun by SQL text: told until COMMIT or ROLLBACK
)

// cancelled is a context whose end has come.
var cancelled = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// unbindable is an argument that go-sqlite3 refuses without asking SQLite.
var unbindable = []driver.NamedValue{{Ordinal: 1, Value: struct{}{}}}

// prepareInterrupter readies a new SQLite connection to be interrupted from
// another goroutine. go-sqlite3 has no call for that, but its Exec calls
// sqlite3_interrupt when the context has ended, while it waits for the
// statement. The statement is never stepped, since that would overwrite the
// error code that the interrupted call is about to read: its argument is of a
// type that go-sqlite3 refuses to bind. It waits for SQLite's mutex on the
// connection until the interrupted step has returned; without that mutex
// (_mutex=no) nothing can be interrupted.
func (c *conn) prepareInterrupter(inner *sqlite3.SQLiteConn) error {
	if c.dsn.noMutex {
		return nil
	}
	s, err := inner.Prepare("SELECT ?")
	if err != nil {
		return err
	}
	c.interruptMu.Lock()
	defer c.interruptMu.Unlock()
	c.interrupter = s.(*sqlite3.SQLiteStmt)
	return nil
}

// interrupt makes what runs on c return SQLITE_INTERRUPT. It is a no-op
// between two steps of a call, so a forced freeze repeats it. It returns once
// the interrupted step has, which a user's function called from SQL may delay
// for ever. Safe for any goroutine.
func (c *conn) interrupt() { c.interruptIf(func() bool { return true }) }

// interruptIf interrupts if it is wanted still, once it is its turn.
func (c *conn) interruptIf(wanted func() bool) {
	c.interruptMu.Lock()
	defer c.interruptMu.Unlock()
	if c.interrupter != nil && wanted() {
		c.interrupter.ExecContext(cancelled, unbindable)
	}
}

func (c *conn) closeInterrupter() {
	c.interruptMu.Lock()
	defer c.interruptMu.Unlock()
	if c.interrupter != nil {
		c.interrupter.Close()
		c.interrupter = nil
	}
}

// kill ends everything that c holds, and returns what is to be closed yet; the
// caller claimed c and holds mu.
func (c *conn) kill() (inner *sqlite3.SQLiteConn) {
	c.interrupted.Store(true)
	c.interrupt()
	kind := int32(0)
	if c.inTransaction() {
		kind = lostRaw
	}
	for r := c.rows; r != nil; r = c.rows {
		c.killRows(r)
	}
	if c.holds > 0 {
		kind = lostTx
		c.holds = 0
	}
	c.lost.Store(kind)
	return c.detach() // its close rolls back: https://www.sqlite.org/c3ref/close.html
}

// lostError is what a call gets whose transaction a forced freeze took.
func (c *conn) lostError() error { return ErrForced }

// endsLost reports whether err says that the transaction is lost and query is
// its ROLLBACK, which then succeeds: there is nothing left to do. A COMMIT
// fails, and after either the connection may be used again.
func (c *conn) endsLost(err error, query string) bool {
	if err != ErrForced || c.lost.Load() != lostRaw {
		return false
	}
	ends := sqltext.Classify(query).First & (sqltext.Commits | sqltext.RollsBack)
	if ends != 0 {
		c.lost.Store(0)
	}
	return ends == sqltext.RollsBack
}

// explain adds ErrForced to the error of an interrupted call; every other
// error stays the very value that go-sqlite3 returned.
func (c *conn) explain(err error) error {
	if err == nil {
		return nil
	}
	c.noteDamage(err)
	if !c.interrupted.Load() {
		return err
	}
	if isInterrupt(err) {
		return &forcedError{err}
	}
	return err
}

func isInterrupt(err error) bool {
	var se sqlite3.Error
	return errors.As(err, &se) && se.Code == sqlite3.ErrInterrupt
}
