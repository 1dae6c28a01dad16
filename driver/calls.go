package driver

import (
	"context"
	"database/sql/driver"

	"hotswap/internal/sqltext"
)

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
	c.executes = true
	err := c.enter(ctx, query)
	if err == nil && c.queues() {
		err = c.queue(ctx, query, nil, len(args))
	}
	c.executes = false
	if err != nil {
		if c.endsLost(err, query) {
			return driver.RowsAffected(0), nil
		}
		return nil, err
	}
	defer c.exit()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	call, stop := c.cancel.watch(ctx)
	if s := c.cachedStmt(query, args, true); s != nil {
		res, err := s.inner.ExecContext(call, args)
		err = c.cancel.unwatch(ctx, stop, err)
		c.cache.put(s, err == nil)
		return res, c.conclude(err)
	}
	if !sqltext.MayChangeSession(query) {
		res, err := c.inner.ExecContext(call, query, args)
		if sqltext.BeginsAltering(query) {
			c.alters(false)
		}
		return res, c.conclude(c.cancel.unwatch(ctx, stop, err))
	}
	in := c.inTransaction()
	res, err := attaching(c, func() (driver.Result, error) { return c.inner.ExecContext(call, query, args) })
	err = c.cancel.unwatch(ctx, stop, err)
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
	err := c.enter(ctx, query)
	if err == nil && c.queues() {
		err = c.queue(ctx, query, nil, len(args))
	}
	if err != nil {
		c.endsLost(err, query)
		return nil, err
	}
	defer c.exit()
	if s := c.cachedStmt(query, args, false); s != nil {
		c.study(s)
		inner, err := s.inner.QueryContext(ctx, args)
		if err != nil {
			c.cache.put(s, false)
			return nil, c.conclude(err)
		}
		return c.openRows(ctx, inner, s, query).forReader(), nil
	}
	if !sqltext.MayChangeSession(query) {
		inner, err := c.inner.QueryContext(ctx, query, args)
		if sqltext.BeginsAltering(query) {
			c.alters(false)
		}
		if err != nil {
			return nil, c.conclude(err)
		}
		return c.openRows(ctx, inner, nil, query), nil
	}
	in := c.inTransaction()
	inner, err := attaching(c, func() (driver.Rows, error) { return c.inner.QueryContext(ctx, query, args) })
	c.recordSession(query, args, in, err)
	if err != nil {
		return nil, c.conclude(err)
	}
	r := c.openRows(ctx, inner, nil, query)
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
	if sqltext.MayChangeSession(query) {
		c.recordCurrent(query, nil) // also if what follows a pragma is no SQL
	}
	if err != nil {
		return nil, c.conclude(err)
	}
	return c.handOut(query, inner), nil
}

// Prepare is PrepareContext without a context; database/sql does not call it.
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
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
	c.ahead.handedOut = c.state.load().begun()
	if c.db != nil {
		if ticks := c.db.ticks.Load(); ticks != c.seenTick {
			c.seenTick = ticks
			c.db.rouse()
			c.db.awaitGate(ctx)
		}
	}
	return nil
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
	c.executes = true
	err := s.enter(ctx, len(args))
	c.executes = false
	if err != nil {
		if c.endsLost(err, s.query) {
			return driver.RowsAffected(0), nil
		}
		return nil, err
	}
	defer c.exit()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	call, stop := c.cancel.watch(ctx)
	if !s.session {
		res, err := s.inner.ExecContext(call, args)
		return res, c.conclude(c.cancel.unwatch(ctx, stop, err))
	}
	in := c.inTransaction()
	res, err := attaching(c, func() (driver.Result, error) { return s.inner.ExecContext(call, args) })
	err = c.cancel.unwatch(ctx, stop, err)
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
	if err := s.enter(ctx, len(args)); err != nil {
		c.endsLost(err, s.query)
		return nil, err
	}
	defer c.exit()
	in := s.session && c.inTransaction()
	c.study(s)
	inner, err := s.inner.QueryContext(ctx, args)
	if s.session {
		c.recordSession(s.query, args, in, err)
	}
	if err != nil {
		return nil, c.conclude(err)
	}
	r := c.openRows(ctx, inner, s, s.query)
	r.attaches = s.session
	return r.forReader(), nil
}

// enter begins a call on the statement's connection and prepares the statement
// again if a swap has closed it.
func (s *stmt) enter(ctx context.Context, args int) error {
	err := s.conn.enter(ctx, s.query)
	if err == nil && s.conn.queues() {
		err = s.conn.queue(ctx, s.query, s, args)
	}
	if err != nil {
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
	s.setInner(inner)
	return nil
}
