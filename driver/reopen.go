package driver

import (
	"context"
	"errors"
	"fmt"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/door"
	"hotswap/internal/dsn"
	"hotswap/internal/fileid"
	"hotswap/internal/session"
)

// revive completes enter for a connection that a swap has closed. On an error it ends
// the call.
func (c *conn) revive(ctx context.Context, query string) error {
	err := c.reopen(ctx, query)
	if err == nil {
		return nil
	}
	if err = c.settle(ctx, err); err != nil {
		return err
	}
	return c.enter(ctx, query)
}

func (c *conn) reopen(ctx context.Context, query string) error {
	opened := false
	defer func() {
		if !opened { // an error, or a panic of the connect hook
			c.exit()
		}
	}()
	lost := c.lost.Load() != 0
	if lost {
		if err := c.lostError(query); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.open(ctx); err != nil {
		return err
	}
	if lost {
		if err := c.resume(query); err != nil {
			return err
		}
	}
	opened = true
	return nil
}

// resume ends the loss on the connection opened for a text that begins anew. The caller
// owns c.
func (c *conn) resume(query string) error {
	before, _ := c.anew(query)
	if before != "" {
		if _, err := c.inner.ExecContext(context.Background(), before, nil); err != nil {
			c.mu.Lock()
			finish := c.endHolds()
			c.mu.Unlock()
			finish()
			c.lost.Store(lostTold)
			return err
		}
		c.raw = true
		c.savepoints = c.savepoints[:min(len(c.savepoints), 1)]
	}
	c.lost.Store(0)
	return nil
}

// open opens the SQLite connection. The caller owns c.
func (c *conn) open(ctx context.Context) error {
	dsn := c.dsn
	if c.db != nil {
		if err := c.db.mayOpen(); err != nil {
			return err
		}
		if path := c.db.Path(); path != dsn.Path {
			dsn = dsn.At(path) // other goroutines may read c.dsn itself
		}
		if c.dsn.SetsJournal {
			defer c.db.openFirst(ctx, c.dsn.BusyTimeout)()
		}
	}
	c.releaseDescriptors()
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
	c.inner, c.location = inner, dsn.Location()
	c.cancel.interrupter.set(inner)
	if c.db != nil {
		c.db.noteOpened(dsn.Path, c.file(dsn.Path))
	}
	c.watchAttached()
	return nil
}

// openSQLite opens a connection and replays the session settings on it.
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

// file returns the file that c has open as its main database.
func (c *conn) file(path string) fileid.ID {
	for _, h := range door.Of(c) {
		if h.Path == path {
			return h.File
		}
	}
	return fileid.Of(path) // the door can't see this SQLite's files
}

// errMoved fails a connection that was being opened while its database moved to the
// target of a repointed symlink.
var errMoved = errors.New("the path leads to another file now")

// Reconnect opens the connections that a swap has closed and that nobody uses.
func (d insider) Reconnect() (n int, err error) { return d.reconnect() }

// reconnect opens the SQLite connections of the idle connections that a swap closed,
// rather than leave that to their next call. It returns how many it opened, and the
// first error; the next call of such a connection tries again. It does not wait at the
// gate and skips connections in use.
func (d *Database) reconnect() (n int, err error) {
	for _, c := range d.connections() {
		opened, openErr := c.reconnect()
		if opened {
			n++
		}
		if err == nil {
			err = openErr
		}
	}
	return n, err
}

// reconnect, like a call, holds no lock while it opens: it may wait behind another
// process's lock, and runs the connect hook, which may call methods of the Database.
func (c *conn) reconnect() (opened bool, err error) {
	c.mu.Lock()
	w := c.state.load()
	idle := w.state() == stateIdle && !w.wanted() && c.claim()
	if idle && (c.inner != nil || c.closed || c.lost.Load() != 0) {
		c.unclaim(stateIdle)
		idle = false
	}
	if idle {
		c.reopening = make(chan struct{})
	}
	c.mu.Unlock()
	if !idle {
		return false, nil
	}
	defer func() {
		if p := recover(); p != nil { // left to the next call, on its own goroutine
			err = fmt.Errorf("the connect hook panicked: %v", p)
		}
		c.mu.Lock()
		c.unclaim(stateIdle)
		close(c.reopening)
		c.reopening = nil
		c.mu.Unlock()
		c.db.signal() // a freeze may have come meanwhile
	}()
	err = c.open(context.Background())
	return err == nil, err
}
