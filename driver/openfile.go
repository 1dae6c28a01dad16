package driver

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"sync"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/dbpath"
	"hotswap/internal/dsn"
)

// OpenFile opens an unmanaged file as the program opens this database.
func (d insider) OpenFile(path string, hooks bool, params ...string) *sql.DB {
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

// Connect returns when ctx ends, even if the connect hook does not return. The file may
// have been removed by the time the hook does: then SQLite leaves its sidecars behind.
func (c fileConnector) Connect(ctx context.Context) (driver.Conn, error) {
	type result struct {
		conn     driver.Conn
		err      error
		panicked any
	}
	opened := make(chan result)
	go func() {
		r := result{err: errGoexit} // unless openOwn returns, or panics
		defer func() {
			r.panicked = recover()
			select {
			case opened <- r:
			case <-ctx.Done():
				if r.conn != nil {
					r.conn.Close()
				}
				removeOrphanedSidecars(c.path)
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

func (c fileConnector) Driver() driver.Driver { return &c.drv }

// OpenPlain opens the database without hooks, behind the gate. Its connections are those
// of a visit, for whose end they must not wait.
func (d insider) OpenPlain(params ...string) *sql.DB {
	// The path is not one of the database's names, which would pin it there if a
	// symlink is repointed meanwhile.
	d.keep()
	drv := New()
	drv.visits = true
	c := &connector{drv: drv, dsn: dsn.Parse(dbpath.URI(d.Path(), params...)), db: d.Database, release: sync.OnceFunc(d.release)}
	c.outer = (*baseConnector)(c)
	return sql.OpenDB(c)
}

// OpenOwn opens the database past the gate, for whoever replaces it.
func (d insider) OpenOwn(params ...string) *sql.DB {
	db := sql.OpenDB(ownConnector(dbpath.URI(d.Path(), params...)))
	db.SetMaxOpenConns(1)
	return db
}

type ownConnector string

func (uri ownConnector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

func (uri ownConnector) Connect(context.Context) (driver.Conn, error) {
	return openOwn(sqlite3.SQLiteDriver{}, string(uri))
}
