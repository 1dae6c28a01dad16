package driver

import (
	"context"
	"database/sql/driver"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/sqltext"
)

var (
	_ driver.Stmt             = (*stmt)(nil)
	_ driver.StmtExecContext  = (*stmt)(nil)
	_ driver.StmtQueryContext = (*stmt)(nil)
)

// stmt is a prepared statement: one that Prepare handed out, or one of a
// connection's cache. After a swap it is prepared again on its next use.
type stmt struct {
	conn     *conn
	query    string
	inner    *sqlite3.SQLiteStmt // nil after a swap, until the next use; owned with conn
	numInput int

	session bool          // the text may change what is replayed on a reopened connection
	class   sqltext.Class // of conn.cache
	out     bool          // handed out by Prepare, and not closed yet

	prev, next *stmt // in conn.stmts, while out; next alone in conn.freeStmts
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	for {
		res, err := s.execContext(ctx, args)
		if err == nil || !s.conn.awaitRetry(ctx, s.query, err, nil) {
			return res, err
		}
	}
}

func (s *stmt) execContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	c := s.conn
	if err := s.enter(ctx); err != nil {
		if c.endsLost(err, s.query) {
			return driver.RowsAffected(0), nil
		}
		return nil, err
	}
	defer c.exit()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	call, stop := c.watch(ctx)
	if !s.session {
		res, err := s.inner.ExecContext(call, args)
		return res, c.conclude(c.unwatch(ctx, stop, err))
	}
	in := c.inTransaction()
	res, err := attaching(c, func() (driver.Result, error) { return s.inner.ExecContext(call, args) })
	err = c.unwatch(ctx, stop, err)
	c.recordSession(s.query, args, in, err)
	return c.result(res, err, s.query)
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	for {
		rows, err := s.queryContext(ctx, args)
		if err == nil || !s.conn.awaitRetry(ctx, s.query, err, nil) {
			return rows, err
		}
	}
}

func (s *stmt) queryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	c := s.conn
	if err := s.enter(ctx); err != nil {
		c.endsLost(err, s.query)
		return nil, err
	}
	defer c.exit()
	in := s.session && c.inTransaction()
	inner, err := s.inner.QueryContext(ctx, args)
	if s.session {
		c.recordSession(s.query, args, in, err)
	}
	if err != nil {
		return nil, c.conclude(err)
	}
	r := c.openRows(inner, s, s.query)
	r.attaches = s.session
	return r, nil
}

// enter begins a call on the statement's connection and prepares the statement
// again if a swap has closed it.
func (s *stmt) enter(ctx context.Context) error {
	if err := s.conn.enter(ctx, s.query); err != nil {
		return err
	}
	if s.inner != nil {
		return nil
	}
	inner, err := s.conn.inner.PrepareContext(ctx, s.query)
	if err != nil {
		err = s.conn.conclude(err)
		s.conn.exit()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	s.inner = inner.(*sqlite3.SQLiteStmt)
	return nil
}

// Close never waits at the gate.
func (s *stmt) Close() error {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.out {
		return nil
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		c.stmts = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	err := s.closeInner()
	for r := c.rows; r != nil; r = r.next {
		if r.stmt == s {
			r.stmt = nil // finalized beneath them, which go-sqlite3's Rows tolerate
		}
	}
	*s = stmt{conn: c, next: c.freeStmts}
	c.freeStmts = s
	return err
}

func (s *stmt) closeInner() error {
	if s.inner == nil {
		return nil
	}
	inner := s.inner
	s.inner = nil
	return inner.Close()
}

func (s *stmt) NumInput() int { return s.numInput }

// Exec and Query are for callers without a context; database/sql has one.
func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), namedValues(args))
}

func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), namedValues(args))
}

func namedValues(args []driver.Value) []driver.NamedValue {
	named := make([]driver.NamedValue, len(args))
	for i, v := range args {
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return named
}

// handOut makes a statement for the user, and adds it to those that a freeze must
// finalize. The caller owns c.
func (c *conn) handOut(query string, inner driver.Stmt) *stmt {
	s := c.freeStmts
	if s != nil {
		c.freeStmts = s.next
	} else {
		s = &stmt{conn: c}
	}
	s.query, s.inner, s.session, s.out = query, inner.(*sqlite3.SQLiteStmt), sqltext.MayChangeSession(query), true
	s.numInput = s.inner.NumInput()
	s.next = c.stmts
	if s.next != nil {
		s.next.prev = s
	}
	c.stmts = s
	return s
}
