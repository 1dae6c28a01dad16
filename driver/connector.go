package driver

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/door"
	"hotswap/internal/dsn"
	"hotswap/internal/fileid"
	"hotswap/internal/lognote"
	"hotswap/internal/session"
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
	dsn    *dsn.Name
	db     *Database // nil for a database that is not managed
	letGo  func()    // ends that; set with db
	closed bool
}

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) { return c.outer.Connect(ctx) }
func (c *connector) Driver() driver.Driver                            { return c.drv }

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

// open opens the SQLite connection. The caller owns c.
func (c *conn) open(ctx context.Context) error {
	dsn := c.dsn
	if c.db != nil {
		if err := c.db.mayOpen(); err != nil {
			return err
		}
		if path := c.db.Path(); path != dsn.Path {
			dsn = dsn.At(path) // c.dsn itself is read by whoever asks for it
		}
		if c.dsn.SetsJournal {
			defer c.db.openFirst(ctx, c.dsn.BusyTimeout)()
		}
	}
	c.giveBackDescriptors()
	var inner *sqlite3.SQLiteConn
	var err error
	scope := door.As(c, func() { inner, err = c.openSQLite(dsn) })
	if err != nil {
		c.noteDamage(err)
		return c.disturbed(scope, err, c.dsn.SetsJournal)
	}
	if c.db != nil && !c.db.opened(dsn.Path) {
		closeSQLite(c, inner)
		return &refusedError{paths: []string{c.db.Path()}, err: errMoved}
	}
	c.disturbedSince.Store(0)
	c.interrupted.Store(false)
	c.inner = inner
	c.interrupter.set(inner)
	if c.db != nil {
		c.db.noteOpened(dsn.Path, c.file(dsn.Path))
	}
	c.watchAttached()
	return nil
}

// openSQLite opens a connection and tells it what the last one was told.
func (c *conn) openSQLite(dsn *dsn.Name) (*sqlite3.SQLiteConn, error) {
	inner, err := openSQLite(c, c.drv.sqlite, dsn.ForSQLite())
	if err != nil {
		return nil, err
	}
	if c.drv.sqlite.ConnectHook != nil {
		c.hooked = session.Schemas(inner)
	}
	if err := c.replay(inner); err != nil {
		closeSQLite(c, inner)
		return nil, err
	}
	return inner, nil
}

// file is what c has open as its main database.
func (c *conn) file(path string) fileid.ID {
	for _, h := range door.Of(c) {
		if h.Path == path {
			return h.File
		}
	}
	return fileid.Of(path) // this SQLite's files can't be seen
}

// errMoved is of a connection that was being opened while its database moved to where
// a symlink was turned.
var errMoved = errors.New("it is another file now")

// refusedError is SQLite's error of an open of a file beside another one, which is
// open at the same path: its own, or one that it attaches.
type refusedError struct {
	paths     []string
	err       error
	suspected bool // SQLite has failed of something else, maybe; bounded by who made it
}

func (e *refusedError) Error() string {
	return ErrReplaced.Error() + " (" + strings.Join(e.paths, ", ") + "): " + e.err.Error()
}
func (e *refusedError) Unwrap() []error { return []error{ErrReplaced, e.err} }

// settle waits, if err is of an open that was refused, until it may be made again;
// any other error it returns. The caller is in no call: what is waited for may have
// to wait for the calls of c.
func (c *conn) settle(ctx context.Context, err error) error {
	if isBusy(err) && c.sitOut(ctx, "connect") {
		return nil
	}
	if !errors.Is(err, ErrReplaced) {
		return err
	}
	dbs := []*Database{}
	var refused *refusedError
	if errors.As(err, &refused) {
		if !refused.suspected && !c.mayTryAgain() {
			return err
		}
		for _, path := range refused.paths {
			if d, ok := managed(path); ok {
				dbs = append(dbs, d)
			}
		}
	} else if c.db != nil {
		dbs = append(dbs, c.db)
	}
	if len(dbs) == 0 {
		return err
	}
	for _, d := range dbs {
		if err := d.settle(ctx, c.dsn.BusyTimeout); err != nil {
			return err
		}
	}
	if refused != nil {
		select {
		case <-time.After(firstWindow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// disturbed makes an error of what opened files in the scope one that is tried again
// (see settle), if it came of somebody who was just replacing one of them: it was
// refused at the door, or SQLite found nothing at the path when it looked for the
// WAL, or, where the DSN sets the journal mode, somebody had it open who is about to
// close it.
func (c *conn) disturbed(scope *door.Scope, err error, setsJournal bool) error {
	paths := scope.Refused()
	var se sqlite3.Error
	if len(paths) == 0 && errors.As(err, &se) && (leavesFile(se) || setsJournal && se.Code == sqlite3.ErrBusy) && c.mayTryAgain() {
		paths = scope.Guarded()
	}
	if len(paths) == 0 {
		return err
	}
	return &refusedError{paths: paths, err: err, suspected: len(scope.Refused()) == 0}
}

// mayTryAgain bounds for how long what was disturbed is tried again.
func (c *conn) mayTryAgain() bool {
	now := time.Now().UnixNano()
	c.disturbedSince.CompareAndSwap(0, now)
	return time.Duration(now-c.disturbedSince.Load()) < max(c.dsn.BusyTimeout, watchEvery)
}

// revive is the end of enter for a connection that a swap has closed. On an
// error it ends the call.
func (c *conn) revive(ctx context.Context, query string) error {
	err := c.reopen(ctx)
	if err == nil {
		return nil
	}
	if err = c.settle(ctx, err); err != nil {
		return err
	}
	return c.enter(ctx, query)
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
	if err := c.open(ctx); err != nil {
		return err
	}
	opened = true
	return nil
}
