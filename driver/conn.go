package driver

import (
	"context"
	"database/sql/driver"
	"sync"
	"sync/atomic"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/dsn"
	"hotswap/internal/fileid"
	"hotswap/internal/reserve"
	"hotswap/internal/session"
	"hotswap/internal/sqltext"
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
	writing  bool                // has the place in the writers' queue; owned
	retried  *overwriting        // the one for which a call was last retried; its user's
	seenTick uint64              // the latest tick after which it checked the file; its user's
	// disturbedSince is when a call that is being retried first found one of its files
	// just being replaced, in Unix nanoseconds; 0 if none has.
	disturbedSince atomic.Int64
	number         uint64  // in order of addition; guarded by Database.mu
	control        control // owned
	cancel         canceller
	freeStmts      *stmt            // closed ones, for reuse by Prepare; guarded as stmts
	rows           *rows            // open Rows; owned
	freeRows       *rows            // closed ones, for reuse by a query; owned
	cache          stmtCache        // owned
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
	// reopening is set while Reconnect owns c, or whoever it is lent to, and closed when
	// that is done.
	reopening chan struct{}
	// closing is set while the SQLite connection that c had is being closed, with no
	// lock held, and closed when that is done.
	closing chan struct{}

	interrupter interrupter
	step        sync.Mutex // held by a step of Rows without SQLite's mutex (_mutex=no)
	// interrupted is set while a forced freeze interrupts what runs.
	interrupted atomic.Bool
	// lost says that a forced freeze took a transaction whose owner has not ended it
	// yet: lostTx, lostRaw or lostTold.
	lost atomic.Int32
	// savepoints are those open in the transaction, or the lost one; see
	// noteSavepoints. Its user's.
	savepoints []string
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) == 1 {
		if req, ok := args[0].Value.(*rawRequest); ok {
			req.conn = c
			return driver.RowsAffected(0), nil
		}
	}
	for {
		res, err := c.execContext(ctx, query, args)
		if err == nil || !c.awaitRetry(ctx, query, err, nil) {
			return res, err
		}
	}
}

func (c *conn) execContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.enter(ctx, query); err != nil {
		if c.endsLost(err, query) {
			return driver.RowsAffected(0), nil
		}
		return nil, err
	}
	defer c.exit()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	call, stop := c.watch(ctx)
	if s := c.cachedStmt(query, args, true); s != nil {
		res, err := s.inner.ExecContext(call, args)
		err = c.unwatch(ctx, stop, err)
		c.cache.put(s, err == nil)
		return res, c.conclude(err)
	}
	if !sqltext.MayChangeSession(query) {
		res, err := c.inner.ExecContext(call, query, args)
		return res, c.conclude(c.unwatch(ctx, stop, err))
	}
	in := c.inTransaction()
	res, err := attaching(c, func() (driver.Result, error) { return c.inner.ExecContext(call, query, args) })
	err = c.unwatch(ctx, stop, err)
	c.recordSession(query, args, in, err)
	return c.result(res, err, query)
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	for {
		rows, err := c.queryContext(ctx, query, args)
		if err == nil || !c.awaitRetry(ctx, query, err, nil) {
			return rows, err
		}
	}
}

func (c *conn) queryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.enter(ctx, query); err != nil {
		c.endsLost(err, query)
		return nil, err
	}
	defer c.exit()
	if s := c.cachedStmt(query, args, false); s != nil {
		inner, err := s.inner.QueryContext(ctx, args)
		if err != nil {
			c.cache.put(s, false)
			return nil, c.conclude(err)
		}
		return c.openRows(inner, s, query), nil
	}
	if !sqltext.MayChangeSession(query) {
		inner, err := c.inner.QueryContext(ctx, query, args)
		if err != nil {
			return nil, c.conclude(err)
		}
		return c.openRows(inner, nil, query), nil
	}
	in := c.inTransaction()
	inner, err := attaching(c, func() (driver.Rows, error) { return c.inner.QueryContext(ctx, query, args) })
	c.recordSession(query, args, in, err)
	if err != nil {
		return nil, c.conclude(err)
	}
	r := c.openRows(inner, nil, query)
	r.attaches = true
	return r, nil
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	for {
		s, err := c.prepareContext(ctx, query)
		if err == nil || !c.awaitRetry(ctx, query, err, nil) {
			return s, err
		}
	}
}

func (c *conn) prepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := c.enter(ctx, query); err != nil {
		c.endsLost(err, query)
		return nil, err
	}
	defer c.exit()
	inner, err := c.inner.PrepareContext(ctx, query)
	if err != nil {
		return nil, c.conclude(err)
	}
	s := c.handOut(query, inner)
	if s.session {
		c.recordCurrent(query, nil)
	}
	return s, nil
}

// Prepare is PrepareContext without a context; database/sql does not call it.
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// BeginTx ignores the isolation level and ReadOnly, as go-sqlite3 does.
func (c *conn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	for {
		queued, err := c.queueForWriting(ctx)
		if err != nil {
			return nil, err
		}
		tx, err := c.beginTx(ctx, queued)
		if err == nil || !c.awaitRetry(ctx, "BEGIN", err, nil) {
			return tx, err
		}
	}
}

func (c *conn) beginTx(ctx context.Context, queued bool) (driver.Tx, error) {
	begun := false
	defer func() {
		if queued && !begun { // an error, or a panic of the connect hook
			c.db.writers.leave()
		}
	}()
	if err := c.enter(ctx, "BEGIN"); err != nil {
		return nil, err
	}
	defer c.exit()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	call, stop := c.watch(ctx)
	err := c.control.begin.run(call, c)
	if err = c.unwatch(ctx, stop, err); err != nil {
		return nil, c.conclude(err)
	}
	c.tx.conn = c
	c.writing, begun = queued, true
	c.holds++
	return &c.tx, nil
}

// Begin is BeginTx without a context; database/sql does not call it.
func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

func (c *conn) Ping(ctx context.Context) error {
	if err := c.enter(ctx, "ping"); err != nil {
		return err
	}
	defer c.exit()
	return c.inner.Ping(ctx)
}

// ResetSession runs when the pool hands the connection to its next user, who is not the
// one that lost a transaction to a forced freeze.
//
// It is also a connection's first use after it was idle: the time to check whether its
// file is still the one at the path.
func (c *conn) ResetSession(ctx context.Context) error {
	if c.lost.Load() != 0 {
		c.lost.Store(0)
	}
	if c.disturbedSince.Load() != 0 {
		c.disturbedSince.Store(0)
	}
	if c.db != nil {
		if ticks := c.db.ticks.Load(); ticks != c.seenTick {
			c.seenTick = ticks
			c.db.awaitGate(ctx)
		}
	}
	return nil
}
