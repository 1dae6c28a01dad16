package driver

import (
	"context"
	"database/sql/driver"
	"reflect"
	"sync"
	"sync/atomic"
	"weak"

	sqlite3 "github.com/mattn/go-sqlite3"
)

var (
	_ driver.Rows                           = (*rows)(nil)
	_ driver.RowsColumnTypeDatabaseTypeName = (*rows)(nil)
	_ driver.RowsColumnTypeNullable         = (*rows)(nil)
	_ driver.RowsColumnTypeScanType         = (*rows)(nil)
)

// rows is a hold on its connection from the query until Close.
//
// Next is the one call that does not move the state word: it runs once per row
// and needs nothing but its statement. A forced freeze may therefore come while
// it runs. If the statement is ours, closing it is safe: go-sqlite3 takes the
// statement's mutex in both. If not (several statements in one text), Next
// takes mu.
//
// They are never used for a second query: a driver around this one may still have them
// when they are closed.
type rows struct {
	conn  *conn
	inner *sqlite3.SQLiteRows
	stmt  *stmt // nil if go-sqlite3 owns the statement
	query string

	attaches bool     // a step may open a file
	handled  bool     // stmt had a handle when it was run
	begun    bool     // Next has returned a row
	closed   bool     // by its reader
	fetcher  *fetcher // after the first row; nil once closed
	ahead    bool     // of its reader; see ahead
	//lint:ignore U1000 it is for Go 1.27
	scanner    scanner     // what the reader has of it; see scan.go
	killed     atomic.Bool // by a forced freeze
	mu         sync.Mutex  // only if stmt is nil: Next against killRows
	prev, next *rows       // in conn.rows

	user weak.Pointer[rows] // only of a stand-in: the rows that it stands for
}

// openRows makes rows a hold of c, which the caller owns.
func (c *conn) openRows(ctx context.Context, inner driver.Rows, s *stmt, query string) *rows {
	f := c.freeFetcher
	if f == nil {
		f = &fetcher{}
	}
	c.freeFetcher, f.ctx = nil, ctx
	r := &rows{conn: c, inner: inner.(*sqlite3.SQLiteRows), stmt: s, query: query, fetcher: f, next: c.rows}
	if r.next != nil {
		r.next.prev = r
	}
	c.rows = r
	c.holds++
	r.handled = s != nil && s.handle != 0
	if s != nil {
		c.runAhead(r)
	}
	return r
}

func (c *conn) unlinkRows(r *rows) {
	if r.prev != nil {
		r.prev.next = r.next
	} else {
		c.rows = r.next
	}
	if r.next != nil {
		r.next.prev = r.prev
	}
	r.prev, r.next = nil, nil
	c.holds--
	c.endAhead(r)
	c.doubtPlace()
}

// killRows closes r for its owner; the caller owns c and has interrupted what runs on
// it. The owner's next call on r returns ErrForced.
func (c *conn) killRows(r *rows) {
	r = c.restored(r)
	r.killed.Store(true)
	if r.stmt != nil {
		r.stmt.closeInner()
	} else {
		r.mu.Lock()
		r.inner.Close()
		r.mu.Unlock()
	}
	c.unlinkRows(r)
}

// Columns of a cached statement are a copy: go-sqlite3 keeps one slice for all the rows
// of a statement, and a caller that prepared no statement may write to it.
func (r *rows) Columns() []string {
	columns := r.inner.Columns()
	if r.closed || r.stmt == nil || r.stmt.out {
		return columns
	}
	return r.fetcher.copyNames(columns)
}

// DeclTypes returns the declared types of the columns, in lower case.
func (r *rows) DeclTypes() []string { return r.inner.DeclTypes() }

func (r *rows) ColumnTypeDatabaseTypeName(i int) string {
	if !r.lockAlive() {
		return ""
	}
	defer r.conn.mu.Unlock()
	return r.inner.ColumnTypeDatabaseTypeName(i)
}

func (r *rows) ColumnTypeNullable(i int) (nullable, ok bool) {
	return r.inner.ColumnTypeNullable(i)
}

func (r *rows) ColumnTypeScanType(i int) reflect.Type {
	if !r.lockAlive() {
		return reflect.TypeFor[any]()
	}
	defer r.conn.mu.Unlock()
	return r.inner.ColumnTypeScanType(i)
}

// lockAlive takes conn.mu unless r was killed: go-sqlite3 asks SQLite about the column
// without checking that the statement still exists.
func (r *rows) lockAlive() bool {
	r.conn.mu.Lock()
	if r.killed.Load() || r.closed {
		r.conn.mu.Unlock()
		return false
	}
	return true
}
