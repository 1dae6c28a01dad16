package driver

import (
	"sync"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/interrupt"
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
