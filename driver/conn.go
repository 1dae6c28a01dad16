package driver

import (
	"database/sql/driver"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/dsn"
	"hotswap/internal/fileid"
	"hotswap/internal/reserve"
	"hotswap/internal/session"
)

var (
	_ driver.Conn               = (*conn)(nil)
	_ driver.ConnBeginTx        = (*conn)(nil)
	_ driver.ConnPrepareContext = (*conn)(nil)
	_ driver.ExecerContext      = (*conn)(nil)
	_ driver.QueryerContext     = (*conn)(nil)
	_ driver.Pinger             = (*conn)(nil)
	_ driver.SessionResetter    = (*conn)(nil)
)

// conn is one connection of a pool. It outlives the SQLite connection inside it: a swap
// closes that one, and the next use opens another.
//
// database/sql lets one goroutine at a time use a connection. The only others that
// touch it are a freeze and an observer, and the state word says who owns what: whoever
// moved it to busy owns every field that is not said to be guarded otherwise.
type conn struct {
	state stateWord

	inner    *sqlite3.SQLiteConn // nil while closed; owned
	holds    int                 // open Rows and Tx; owned
	queries  [2]string           // of the latest call and the one before; see noteQuery
	tx       tx                  // the open Tx, if any; owned
	raw      bool                // in a transaction begun by SQL text, as of the latest text that can begin one; owned
	begun    bool                // in a Tx; owned
	place    place               // in the writers' queue; owned
	retried  *overwriting        // the one for which a call was last retried; its user's
	seenTick uint64              // the latest tick after which it checked the file; its user's
	// disturbedSince is when a call that is being retried first found one of its files
	// just being replaced, in Unix nanoseconds; 0 if none has.
	disturbedSince atomic.Int64
	number         uint64  // in order of addition; guarded by Database.mu
	ticked         word    // at the latest tick; guarded by Database.mu
	control        control // owned
	cancel         canceller
	freeStmts      *stmt            // closed ones, for reuse by Prepare; guarded as stmts
	rows           *rows            // open Rows; owned
	freeFetcher    *fetcher         // of closed Rows, for reuse by a query; owned
	cache          stmtCache        // owned
	ahead          ahead            // owned
	location       *time.Location   // of _loc; owned
	session        session.Session  // owned
	reserve        reserve.Reserve  // while a freeze has it closed; owned
	hooked         []session.Schema // attached by the connect hook; owned
	// published is a copy of session.Settings for goroutines that do not own the
	// connection.
	published atomic.Pointer[[]session.Setting]

	drv  *Driver
	dsn  *dsn.Name
	db   *Database // nil for a database that is not managed
	gone fileid.ID // of db, missing when the pool was made; see anew

	// mu guards the state changes that are not a call's own (marking, claiming,
	// freezing and closing) and the list of statements, which Stmt.Close changes
	// outside any call. See doc.go for all locks.
	mu     sync.Mutex
	stmts  *stmt // statements handed out by Prepare; changed under mu or when owned
	closed bool
	// reopening is set while Reconnect owns c, or whoever it is lent to, or who ends its
	// leaked Rows, and closed when that is done. It holds nothing meanwhile.
	reopening chan struct{}
	// closing is set while the SQLite connection that c had is being closed, with no
	// lock held, and closed when that is done.
	closing chan struct{}

	// interrupted is set while a forced freeze interrupts what runs.
	interrupted atomic.Bool
	// lost says that a forced freeze took a transaction whose owner has not ended it
	// yet: lostTx, lostRaw or lostTold.
	lost atomic.Int32
	// executes is set while a call waits at the gate whose text will run in any case, unlike
	// one that is prepared, or whose Rows may never be stepped. Its user's.
	executes bool
	// unchanged says that the latest text to fail of those that are run by attaching has
	// changed no row. Its user's.
	unchanged bool
	// savepoints are those open in the transaction, or the lost one; see
	// noteSavepoints. Its user's.
	savepoints []string
	queued     queued // in that queue; its user's
}

// tx is a hold on its connection from BeginTx until Commit or Rollback,
// whatever those return: database/sql considers it ended then.
type tx struct{ conn *conn }

// noteQuery records the query of the call that follows those counted in w. There are
// two places, for even and odd counts: an observer finds the latest call's query where
// its word says, while this one is written to the other.
//
// Of a long one it is a part, as it is kept for as long as the connection is idle.
func (c *conn) noteQuery(w word, query string) {
	c.queries[(w.calls()+1)%2] = noted(query)
}

// longQuery is how many bytes of a query are noted.
const longQuery = 64 << 10

func noted(query string) string {
	if len(query) <= longQuery {
		return query
	}
	return strings.Clone(query[:longQuery])
}

// latestQuery returns the query of the call that made the word w; false if the word has
// changed, and then what was read may not even be a whole string. Any goroutine may
// call it. The place is next written by the call after next, which an unchanged word
// rules out; the race detector can't know that.
//
//go:norace
func (c *conn) latestQuery(w word) (string, bool) {
	q := c.queries[w.calls()%2]
	if !c.state.swap(w, w) {
		return "", false
	}
	return strings.Clone(q), true
}

// extended reports whether the program may have its own functions called by SQLite on c. The
// caller owns c.
func (c *conn) extended() bool {
	return c.drv.sqlite.ConnectHook != nil || len(c.drv.sqlite.Extensions) > 0 || c.ahead.registered
}

// busyTimeout returns how long c waits for a lock.
func (c *conn) busyTimeout() time.Duration {
	if c.drv.sqlite.ConnectHook != nil || c.session.HasPragma("busy_timeout") {
		if ms, ok := session.Pragma(c.inner, "busy_timeout"); ok {
			n, _ := ms.(int64)
			return time.Duration(n) * time.Millisecond
		}
	}
	return c.dsn.BusyTimeout
}

// inTransaction reports whether SQLite has a transaction open on c, however it was
// begun. The caller owns c, or holds mu while c is idle.
func (c *conn) inTransaction() bool {
	return c.inner != nil && !c.inner.AutoCommit()
}

// isForced reports whether err comes from a call that a forced freeze interrupted.
func (c *conn) isForced(err error) bool { return isInterrupt(err) && c.interrupted.Load() }

// place says whether a connection has the place in the writers' queue, which it keeps for
// as long as it has SQLite's write lock.
type place uint8

const (
	placeNone    place = iota
	placeHeld          // until something ends its transaction, or may have
	placeInDoubt       // until its call ends, and then as long as it has the lock
)

// doubtPlace is for whatever may have released SQLite's lock.
func (c *conn) doubtPlace() {
	if c.place == placeHeld {
		c.place = placeInDoubt
	}
}

// settlePlace is for the end of a call. The caller owns c.
func (c *conn) settlePlace() {
	if (c.begun || c.raw || c.rows != nil) && c.writes() {
		c.place = placeHeld
		return
	}
	c.leavePlace()
}

func (c *conn) leavePlace() {
	c.place = placeNone
	c.db.writers.leave()
}

// endWriting is the end of a transaction, however it ended.
func (c *conn) endWriting() {
	c.begun = false
	c.endAltering()
	if c.place != placeNone {
		c.leavePlace()
	}
}

// writes reports whether c has SQLite's write lock, or may have. The caller owns c.
func (c *conn) writes() bool {
	writes, known := c.cancel.interrupter.writes()
	return writes || !known
}

// transacts reports whether c has read or written in a transaction that is open, its own
// or that of Rows. The caller owns c.
func (c *conn) transacts() bool {
	if began, known := c.cancel.interrupter.transacts(); known {
		return began
	}
	return c.holds > 0 || c.inTransaction()
}
