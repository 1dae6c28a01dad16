package driver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io/fs"
	"os"
	"sync"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/dbpath"
	"hotswap/internal/door"
	"hotswap/internal/dsn"
)

// OpenFile returns a pool of one connection on another file, not managed, that
// is opened as the program opens this database: with its driver's extensions
// and connect hook, without its DSN's settings but with these parameters of a file:
// URI. It is for looking at a file before it becomes this database. If the program
// has no pool open, or hooks is false, the connection is a plain one. The caller
// closes it.
func (d *Database) OpenFile(path string, hooks bool, params ...string) *sql.DB {
	c := fileConnector{path: path, uri: dbpath.URI(path, params...)}
	if drv := d.drv.Load(); hooks && drv != nil {
		c.drv = drv.sqlite
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(1)
	return db
}

type fileConnector struct {
	drv       sqlite3.SQLiteDriver
	path, uri string
}

// Connect returns when ctx ends, also if the connect hook does not. Who made the
// file may have removed it when the hook returns at last: then SQLite leaves what
// it has put beside it.
func (c fileConnector) Connect(ctx context.Context) (driver.Conn, error) {
	type result struct {
		conn     driver.Conn
		err      error
		panicked any
	}
	opened := make(chan result)
	go func() {
		var r result
		defer func() {
			r.panicked = recover()
			select {
			case opened <- r:
			case <-ctx.Done():
				if r.conn != nil {
					r.conn.Close()
				}
				removeSidecarsOfNone(c.path)
			}
		}()
		r.conn, r.err = openOwn(c.drv, c.uri)
	}()
	select {
	case r := <-opened:
		if r.panicked != nil {
			panic(r.panicked) // as it would on this goroutine
		}
		return r.conn, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// removeSidecarsOfNone removes what is beside a file of ours that is gone.
func removeSidecarsOfNone(path string) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		os.Remove(path + suffix)
	}
}

func (c fileConnector) Driver() driver.Driver { return &c.drv }

// OpenPlain returns a pool on the database's own file whose connections wait at the
// gate and are closed by a freeze like any of the program's, but are plain ones, with
// these parameters of a file: URI. The caller closes it.
func (d *Database) OpenPlain(params ...string) *sql.DB {
	// The path is no name of the database's, which would keep it there if a symlink is
	// turned meanwhile.
	d.keep()
	c := &connector{drv: New(), dsn: dsn.Parse(dbpath.URI(d.Path(), params...)), db: d, letGo: sync.OnceFunc(d.letGo)}
	c.outer = (*baseConnector)(c)
	return sql.OpenDB(c)
}

// OpenOwn returns a pool of one connection on the database's own file, which waits at
// no gate and is closed by no freeze, with these parameters of a file: URI. It is for
// who replaces the file, and must be closed before that is done. What its Conn.Raw
// gives has a method SQLite that returns the SQLite connection. The caller closes it.
func (d *Database) OpenOwn(params ...string) *sql.DB {
	db := sql.OpenDB(ownConnector(dbpath.URI(d.Path(), params...)))
	db.SetMaxOpenConns(1)
	return db
}

type ownConnector string

func (uri ownConnector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

func (uri ownConnector) Connect(context.Context) (driver.Conn, error) {
	return openOwn(sqlite3.SQLiteDriver{}, string(uri))
}

// ownConn is a connection that is no call's, and who opens with it at the door.
type ownConn struct{ *sqlite3.SQLiteConn }

func openOwn(drv sqlite3.SQLiteDriver, name string) (driver.Conn, error) {
	c := &ownConn{}
	var err error
	door.As(c, func() { c.SQLiteConn, err = openSQLite(c, drv, name) })
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Close leaves nothing behind, as the close of a managed connection doesn't.
func (c *ownConn) Close() error { return closeSQLite(c, c.SQLiteConn) }

func (c *ownConn) SQLite() *sqlite3.SQLiteConn { return c.SQLiteConn }
