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
	dsn   *dsn
	db    *Database        // nil for a database that is not managed
	outer driver.Connector // baseConnector, or sqlmw around it

	closed sync.Once
}

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) { return c.outer.Connect(ctx) }
func (c *connector) Driver() driver.Driver                            { return c.drv }

func (c *connector) Close() error {
	c.closed.Do(func() {
		if c.db != nil {
			c.db.letGo()
		}
	})
	return nil
}

// baseConnector makes our own connections, without sqlmw's layer.
type baseConnector connector

func (b *baseConnector) Driver() driver.Driver { return b.drv }

// Connect waits at the gate like a call.
func (b *baseConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c := &conn{drv: b.drv, dsn: b.dsn, db: b.db}
	c.cache.size = b.dsn.cacheSize
	c.control = newControl(b.dsn.begin)
	c.noteQuery(0, "connect")
	c.state.Store(stateBusy + callUnit + periodUnit)
	if c.db != nil {
		if err := c.db.add(ctx, c); err != nil {
			return nil, err
		}
	}
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
		c.Close()
		return nil, err
	}
	if b.drv.interceptor != nil {
		return interceptedConn{c}, nil
	}
	return c, nil
}

// open opens the SQLite connection. The caller owns c.
func (c *conn) open() error {
	if c.db != nil {
		if err := c.db.mayOpen(); err != nil {
			return err
		}
	}
	opened, err := c.drv.sqlite.Open(c.dsn.raw)
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
		c.db.noteOpened()
	}
	return nil
}

// revive is the end of enter for a connection that a swap has closed. On an
// error it ends the call.
func (c *conn) revive(ctx context.Context, query string) error {
	err := ctx.Err()
	if c.lost.Load() != 0 {
		err = c.lostError()
	}
	if err == nil {
		err = c.open()
	}
	if err != nil {
		c.exit()
	}
	if errors.Is(err, ErrReplaced) {
		if err = c.db.settle(ctx); err == nil {
			return c.enter(ctx, query)
		}
	}
	return err
}
