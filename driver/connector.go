package driver

import (
	"context"
	"database/sql/driver"
	"io"
	"runtime"
	"sync"
	"time"

	"hotswap/internal/dsn"
	"hotswap/internal/lognote"
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

	mu     sync.Mutex // guards what follows
	dsn    *dsn.Name
	db     *Database // nil for a database that is not managed
	letGo  func()    // ends that; set with db
	closed bool
}

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) { return c.outer.Connect(ctx) }

func (c *connector) Driver() driver.Driver { return c.drv }

func (c *connector) Close() error {
	c.mu.Lock()
	if c.letGo != nil {
		c.letGo()
	}
	c.closed = true
	c.mu.Unlock()
	if c.drv.log != nil {
		lognote.Flush(flushPatience)
	}
	return nil
}

// flushPatience bounds the wait for the log when a pool is closed.
const flushPatience = 250 * time.Millisecond

// manage makes the database of the name a managed one, if it is a file whose
// path can be told.
func (c *connector) manage() {
	if c.dsn.Path == "" {
		return
	}
	c.db = acquire(c.dsn.Path, c.dsn.Given)
	// A wrapper of drivers may hide Close from the pool: then the database is given
	// up when nobody refers to the connector any more.
	db, unnamed, closed := c.db, c.db.named(c.dsn.Given), c.db.opens(c.drv, c.dsn)
	c.letGo = sync.OnceFunc(func() {
		unnamed()
		closed()
		db.letGo()
	})
	runtime.AddCleanup(c, func(letGo func()) { letGo() }, c.letGo)
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
	c.cache.size = dsn.CacheSize
	c.control = newControl(dsn.Begin)
	c.noteQuery(0, "connect")
	c.state.store(firstWord)
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
	err := c.open(ctx)
	c.exit()
	if err != nil { // else it may be another's by now
		if err = c.settle(ctx, err); err == nil {
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
func (b *baseConnector) database() (*dsn.Name, *Database) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dsn.Unresolved && !b.closed {
		b.dsn = dsn.Parse(b.dsn.Raw)
		(*connector)(b).manage()
	}
	return b.dsn, b.db
}
