package driver

import (
	"sync"
	"sync/atomic"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/interrupt"
)

// interrupter gives goroutines other than the one whose call is running access to the
// SQLite connection of a conn.
type interrupter struct {
	mu     sync.RWMutex // held while handle is used; a leaf
	handle interrupt.Handle
	known  bool       // handle is of an open connection
	shut   bool       // nothing is interrupted; see shield
	step   sync.Mutex // held by a step of Rows if the connection has no mutex of SQLite's (_mutex=no)
}

// set is called with a new SQLite connection. Calls can't be interrupted if this
// go-sqlite3 is not one of the known ones.
func (i *interrupter) set(inner *sqlite3.SQLiteConn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handle, i.known = interrupt.Of(inner)
}

// clear is called before the SQLite connection is closed.
func (i *interrupter) clear() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handle, i.known = interrupt.Handle{}, false
}

// interrupt makes what runs on the connection return SQLITE_INTERRUPT, without waiting
// for that, and first sets mark, if it is not nil. It has no effect between two steps of a
// call, so callers repeat it until the call ends. Any goroutine may call it.
func (i *interrupter) interrupt(mark *atomic.Bool) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.shut {
		return
	}
	if mark != nil {
		mark.Store(true)
	}
	if i.known {
		i.handle.Interrupt()
	}
}

// shield keeps interrupts from the connection until unshield. It reports whether one that
// came before is still to take effect, or may be if SQLite can't say. Its user calls it.
func (i *interrupter) shield() (pending bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.shut = true
	if !i.known {
		return false
	}
	pending, known := i.handle.Interrupted()
	return pending || !known
}

// changes is how many rows the connection has changed; ok is false if that can't be told.
// Its user calls it.
func (i *interrupter) changes() (n int, ok bool) {
	if !i.known {
		return 0, false
	}
	return i.handle.Changes(), true
}

// transacts reports whether the connection has read or written in a transaction that is
// open; known is false if that can't be told. Its user calls it.
func (i *interrupter) transacts() (began, known bool) {
	if !i.known {
		return false, false
	}
	return i.handle.Transacts()
}

// writes reports whether the connection has SQLite's write lock; known and its caller are
// as of transacts.
func (i *interrupter) writes() (writes, known bool) {
	if !i.known {
		return false, false
	}
	return i.handle.Writes()
}

// setBusyTimeout sets how long the connection waits for a lock. Its user calls it.
func (i *interrupter) setBusyTimeout(d time.Duration) {
	if i.known {
		i.handle.SetBusyTimeout(d)
	}
}

func (i *interrupter) unshield() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.shut = false
}

// awaitStep returns when no step runs on the connection, including steps of open Rows,
// which are not calls and which a user's SQL function may delay for ever.
func (i *interrupter) awaitStep() {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.known {
		i.handle.AwaitStep()
	}
	i.step.Lock()
	defer i.step.Unlock()
}
