package driver

import (
	"errors"
	"sync"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/interrupt"
	"hotswap/internal/sqltext"
)

// What a forced freeze took away without its owner knowing it yet.
const (
	lostTx  = 1 // a Tx: told at Commit, Rollback, or a call in between
	lostRaw = 2 // a transaction begun by SQL text: told until COMMIT or ROLLBACK
)

// interrupter reaches the SQLite connection of a conn from other goroutines than
// the one whose call runs on it.
type interrupter struct {
	mu     sync.RWMutex // held by whoever uses handle; a leaf
	handle interrupt.Handle
	known  bool // handle is of an open connection
}

// set is with a new SQLite connection, whose calls can't be interrupted if it's
// another go-sqlite3 than the known ones.
func (i *interrupter) set(inner *sqlite3.SQLiteConn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handle, i.known = interrupt.Of(inner)
}

// clear is before the SQLite connection is closed.
func (i *interrupter) clear() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handle, i.known = interrupt.Handle{}, false
}

// interrupt makes what runs on c return SQLITE_INTERRUPT, but does not wait for
// that. It hits nothing between two steps of a call; so whoever wants the call to
// end repeats it. Safe for any goroutine.
func (c *conn) interrupt() {
	i := &c.interrupter
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.known {
		i.handle.Interrupt()
	}
}

// awaitStep returns when no step runs on c: not that of open Rows either, which is
// no call, and which a user's function called from SQL may delay for ever.
func (c *conn) awaitStep() {
	i := &c.interrupter
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.known {
		i.handle.AwaitStep()
	}
	if c.dsn.NoMutex {
		c.step.Lock()
		c.step.Unlock()
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
