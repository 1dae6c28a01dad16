package driver

import (
	"errors"
	"runtime"
	"sync"

	"hotswap/internal/door"
)

// A Go function that SQLite calls (an SQL function, a hook, an authorizer) may panic.
// The panic unwinds SQLite's own frames and leaves its mutex on the connection locked:
// the next user blocks for ever or, if by chance on the same thread, carries on in the
// middle of what was interrupted. In a program that recovers from panics, as net/http
// does, a freeze would then block with the gate closed. So such a connection is never
// used again: the pool gets driver.ErrBadConn and opens another.

// abandoned keeps abandoned connections, and what belongs to them, from go-sqlite3's
// finalizers, which would block, too.
var abandoned struct {
	sync.Mutex
	all []any
}

// errGoexit is the error of a callback that has ended its goroutine (runtime.Goexit), as
// testing.T's FailNow does.
var errGoexit = errors.New("the connect hook ended its goroutine (runtime.Goexit)")

// throughSQLite reports whether the current panic has unwound frames of C. (It may
// report true needlessly if C called the whole goroutine.)
func throughSQLite() bool {
	pcs := make([]uintptr, 64)
	n := runtime.Callers(0, pcs)
	for n == len(pcs) { // all of them, however deep
		pcs = make([]uintptr, 2*len(pcs))
		n = runtime.Callers(0, pcs)
	}
	frames := runtime.CallersFrames(pcs[:n])
	for {
		frame, more := frames.Next()
		if frame.Function == "runtime.cgocallbackg" {
			return true
		}
		if !more {
			return false
		}
	}
}

// giveUp keeps what belongs to a connection of opener from being finalized, and forgets
// the files that it has open.
func giveUp(opener door.Opener, kept ...any) {
	abandoned.Lock()
	abandoned.all = append(abandoned.all, kept)
	abandoned.Unlock()
	door.Abandon(opener)
}
