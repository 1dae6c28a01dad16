package driver

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"runtime"
	"sync"
	"time"

	"github.com/ngrok/sqlmw"

	"hotswap/internal/dsn"
	"hotswap/internal/fileid"
	"hotswap/internal/lognote"
)

// OpenConnector makes the database of the name a managed one until the connector is
// closed, which sql.DB.Close does. It opens nothing yet: whatever is wrong with the
// name or the file is reported by the first connection.
func (d *Driver) OpenConnector(name string) (driver.Connector, error) {
	c := &connector{drv: d, dsn: dsn.Parse(name)}
	c.outer = (*baseConnector)(c)
	if d.interceptor != nil {
		wrapped, err := sqlmw.Driver(baseDriver{d, (*baseConnector)(c)}, d.interceptor).(driver.DriverContext).OpenConnector(name)
		if err != nil {
			return nil, err
		}
		c.outer = wrapped
	}
	c.manage()
	return c, nil
}

// Open opens one connection. sql.Open uses OpenConnector instead.
func (d *Driver) Open(name string) (driver.Conn, error) {
	c, err := d.OpenConnector(name)
	if err != nil {
		return nil, err
	}
	defer c.(*connector).Close() // the connection keeps the database managed
	return c.Connect(context.Background())
}

// baseDriver is what sqlmw wraps: a driver with the one connector.
type baseDriver struct {
	*Driver
	connector driver.Connector
}

func (b baseDriver) OpenConnector(string) (driver.Connector, error) { return b.connector, nil }

var (
	_ driver.Connector = (*connector)(nil)
	_ io.Closer        = (*connector)(nil)
)

// connector is a pool's source of connections. It keeps its database managed
// until it is closed.
type connector struct {
	drv   *Driver
	outer driver.Connector // baseConnector, or sqlmw around it

	mu      sync.Mutex // guards what follows
	dsn     *dsn.Name
	db      *Database // nil for a database that is not managed
	release func()    // unmanages it; set with db
	gone    fileid.ID // of db, missing when it became managed; see anew
	closed  bool
}

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) { return c.outer.Connect(ctx) }

func (c *connector) Driver() driver.Driver { return c.drv }

func (c *connector) Close() error {
	c.mu.Lock()
	if c.release != nil {
		c.release()
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

// manage makes the database of the name a managed one, if it is a file whose path can
// be determined.
func (c *connector) manage() {
	if c.dsn.Path == "" {
		return
	}
	c.db = acquire(c.dsn.Path, c.dsn.Given)
	c.gone = c.db.missing()
	// A driver wrapper may hide Close from the pool: then the database is released once
	// the connector is unreachable.
	db, removeName, removePool := c.db, c.db.addName(c.dsn.Given), c.db.addPool(c.drv, c.dsn)
	db.forgetPath()
	c.release = sync.OnceFunc(func() {
		removeName()
		removePool()
		db.release()
	})
	runtime.AddCleanup(c, func(release func()) { release() }, c.release)
	c.db.watch.configure(c.drv)
	if c.drv.alone {
		c.db.alone.Store(true)
	}
	c.db.listen()
	if len(c.drv.sqlite.Extensions) > 0 || c.drv.sqlite.ConnectHook != nil {
		c.db.drv.Store(c.drv)
	}
}

// baseConnector makes our own connections, without sqlmw's layer.
type baseConnector connector

func (b *baseConnector) Driver() driver.Driver { return b.drv }

// Connect waits at the gate like a call.
func (b *baseConnector) Connect(ctx context.Context) (driver.Conn, error) {
	dsn, db, gone := b.database()
	if unlockNotify && dsn.Shared {
		return nil, errUnlockNotify
	}
	c := &conn{drv: b.drv, dsn: dsn, db: db, gone: gone}
	c.cache.size = dsn.CacheSize
	if db != nil {
		c.cache.seen = &db.recent
	} else {
		c.cache.seen = &recentTexts{}
	}
	c.control = newControl(dsn.Begin)
	c.noteQuery(0, "connect")
	c.state.store(firstWord)
	if c.db != nil {
		if err := c.db.add(ctx, c); err != nil {
			return nil, err
		}
	} else {
		unmanaged.add(c)
	}
	connected := false
	defer func() {
		if !connected { // an error, or a panic of the connect hook
			c.Close()
		}
	}()
	err := c.open(ctx)
	c.ahead.handedOut = c.state.load().ended(false).begun()
	c.exit()
	if err != nil { // on success c may belong to a freeze by now
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
	return c, nil
}

var errUnlockNotify = errors.New("open a database with cache=shared: not supported in a program that is built with the tag sqlite_unlock_notify, by which calls wait for its locks without end: build it without the tag, or leave cache=shared out")

// database resolves again a path that led nowhere when the pool was made: a program may
// create the directory later.
func (b *baseConnector) database() (*dsn.Name, *Database, fileid.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dsn.Unresolved && !b.closed {
		b.dsn = dsn.Parse(b.dsn.Raw)
		(*connector)(b).manage()
	}
	return b.dsn, b.db, b.gone
}
