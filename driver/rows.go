package driver

import (
	"context"
	"database/sql/driver"
	"io"
	"reflect"
	"sync"
	"sync/atomic"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/door"
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
type rows struct {
	conn  *conn
	inner *sqlite3.SQLiteRows
	stmt  *stmt // nil if go-sqlite3 owns the statement
	query string
	names []string // room for copies of column names, for many queries

	attaches   bool        // a step may open a file
	begun      bool        // Next has returned a row
	killed     atomic.Bool // by a forced freeze
	mu         sync.Mutex  // only if stmt is nil: Next against killRows
	prev, next *rows       // in conn.rows; next alone in conn.freeRows
}

// openRows makes rows a hold of c, which the caller owns.
func (c *conn) openRows(inner driver.Rows, s *stmt, query string) *rows {
	r := c.freeRows
	if r != nil {
		c.freeRows = r.next
	} else {
		r = &rows{conn: c}
	}
	r.inner, r.stmt, r.query, r.begun, r.attaches = inner.(*sqlite3.SQLiteRows), s, query, false, false
	r.prev, r.next = nil, c.rows
	if r.next != nil {
		r.next.prev = r
	}
	c.rows = r
	c.holds++
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
}

func (r *rows) Next(dest []driver.Value) error {
	defer r.conn.endStep()
	switch err := r.advance(dest); {
	case err == nil:
		return nil
	case r.killed.Load(): // even with io.EOF, which go-sqlite3 returns for a closed statement
		return ErrForced
	case err == io.EOF:
		return err
	default:
		return r.conn.concludeStep(err)
	}
}

func (r *rows) advance(dest []driver.Value) error {
	if r.stmt == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
	}
	err := r.step(dest)
	// SQLite has reset the statement: the next step is its first again.
	for err != nil && err != io.EOF && !r.begun && !r.killed.Load() && r.conn.awaitRetry(context.Background(), r.query, err, r) {
		err = r.step(dest)
	}
	if err == nil {
		r.begun = true
	}
	return err
}

func (r *rows) step(dest []driver.Value) (err error) {
	if r.conn.dsn.NoMutex {
		r.conn.step.Lock()
		defer r.conn.step.Unlock()
	}
	if !r.attaches {
		return r.inner.Next(dest)
	}
	door.As(r.conn, func() { err = r.inner.Next(dest) })
	return err
}

// Close never waits at the gate.
func (r *rows) Close() error {
	c := r.conn
	if r.killed.Load() || !c.enterHold(r.query) {
		return nil
	}
	if r.killed.Load() { // and the connection holds something new already
		c.exit()
		return nil
	}
	defer c.exit()
	err := r.inner.Close()
	if s := r.stmt; s != nil && !s.out {
		c.cache.put(s, err == nil)
	}
	c.unlinkRows(r)
	if r.attaches {
		c.noteAttached()
	}
	r.inner, r.stmt, r.query = nil, nil, ""
	r.next, c.freeRows = c.freeRows, r
	return err
}

// killRows closes r for its owner; the caller owns c and has interrupted what runs on
// it. The owner's next call on r returns ErrForced.
func (c *conn) killRows(r *rows) {
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
	if r.stmt == nil || r.stmt.out {
		return columns
	}
	n := len(columns)
	if n > len(r.names) {
		r.names = make([]string, max(n, 64))
	}
	names := r.names[:n:n]
	r.names = r.names[n:]
	copy(names, columns)
	return names
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
	if r.killed.Load() {
		r.conn.mu.Unlock()
		return false
	}
	return true
}
