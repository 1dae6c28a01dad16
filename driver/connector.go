package driver

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"sync"

	sqlite3 "github.com/mattn/go-sqlite3"
)

var (
	_ driver.Connector = (*connector)(nil)
	_ io.Closer        = (*connector)(nil)
)

// connector is a pool's source of connections. It keeps its database managed
// until it is closed.
type connector struct {
	drv   *Driver
	outer driver.Connector // baseConnector, or sqlmw around it

	mu     sync.Mutex // guards what follows; before the registry in order
	dsn    *dsn
	db     *Database // nil for a database that is not managed
	closed bool
}

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) { return c.outer.Connect(ctx) }
func (c *connector) Driver() driver.Driver                            { return c.drv }

func (c *connector) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.db != nil && !c.closed {
		c.db.letGo()
	}
	c.closed = true
	return nil
}

// manage makes the database of the name a managed one, if it is a file whose
// path can be told.
func (c *connector) manage() {
	if c.dsn.path == "" {
		return
	}
	c.db = acquire(c.dsn.path)
	c.db.watch.configure(c.drv)
	if len(c.drv.sqlite.Extensions) > 0 || c.drv.sqlite.ConnectHook != nil {
		c.db.drv.Store(c.drv)
	}
}

// baseConnector makes our own connections, without sqlmw's layer.
type baseConnector connector

func (b *baseConnector) Driver() driver.Driver { return b.drv }

// Connect waits at the gate like a call.
func (b *baseConnector) Connect(ctx context.Context) (driver.Conn, error) {
	dsn, db := b.database()
	c := &conn{drv: b.drv, dsn: dsn, db: db}
	c.cache.size = dsn.cacheSize
	c.control = newControl(dsn.begin)
	c.noteQuery(0, "connect")
	c.state.Store(stateBusy + callUnit + periodUnit)
	if c.db != nil {
		if err := c.db.add(ctx, c); err != nil {
			return nil, err
		}
	}
	connected := false
	defer func() {
		if !connected { // an error, or a panic of the connect hook
			c.Close()
		}
	}()
	err := c.open()
	c.exit()
	if errors.Is(err, ErrReplaced) {
		if err = c.db.settle(ctx); err == nil {
			if err = c.enter(ctx, "connect"); err == nil {
				c.exit()
			}
		}
	}
	if err != nil {
		return nil, err
	}
	connected = true
	if b.drv.interceptor != nil {
		return interceptedConn{c}, nil
	}
	return c, nil
}

// database looks again at a path that led nowhere when the pool was made: a
// program may make the directory only after that.
func (b *baseConnector) database() (*dsn, *Database) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dsn.unresolved && !b.closed {
		b.dsn = parseDSN(b.dsn.raw)
		(*connector)(b).manage()
	}
	return b.dsn, b.db
}

// open opens the SQLite connection. The caller owns c.
func (c *conn) open() error {
	var before fileID
	if c.db != nil {
		if err := c.db.mayOpen(); err != nil {
			return err
		}
		before = statID(c.db.path)
	}
	opened, err := c.drv.sqlite.Open(c.dsn.forSQLite())
	if err != nil {
		return err
	}
	inner := opened.(*sqlite3.SQLiteConn)
	if err := c.session.replay(inner); err != nil {
		inner.Close()
		return err
	}
	if err := c.prepareInterrupter(inner); err != nil {
		inner.Close()
		return err
	}
	c.interrupted.Store(false)
	c.inner = inner
	if c.db != nil {
		c.db.noteOpened(before)
	}
	return nil
}

// revive is the end of enter for a connection that a swap has closed. On an
// error it ends the call.
func (c *conn) revive(ctx context.Context, query string) error {
	err := c.reopen(ctx)
	if errors.Is(err, ErrReplaced) {
		if err = c.db.settle(ctx); err == nil {
			return c.enter(ctx, query)
		}
	}
	return err
}

func (c *conn) reopen(ctx context.Context) error {
	opened := false
	defer func() {
		if !opened { // an error, or a panic of the connect hook
			c.exit()
		}
	}()
	if c.lost.Load() != 0 {
		return c.lostError()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.open(); err != nil {
		return err
	}
	opened = true
	return nil
}
