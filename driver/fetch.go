package driver

import (
	"context"
	"database/sql/driver"
	"io"
	"time"

	"hotswap/internal/cursor"
)

// fetcher gets the rows after the first to Rows of a kept or a prepared statement: a row
// with all its columns in one call of C, or several rows (see ahead). The first, and all
// errors, come from go-sqlite3.
type fetcher struct {
	ctx    context.Context // of the query
	begun  bool
	cursor cursor.Cursor
	types  []string       // declared, of the columns
	loc    *time.Location // of times; see dsn.Name.Location
	cancel *stepCanceller // nil if ctx can't end
	err    error          // what comes after the rows that were fetched
	names  []string       // room for copies of column names, for many queries
}

// fetchNext makes the next row the current one, and puts its values into dest, unless that
// is nil.
func (r *rows) fetchNext(dest []driver.Value) error {
	f, s := r.fetcher, r.stmt
	switch err := f.ctx.Err(); {
	case err != nil:
		return err
	case r.killed.Load():
		return io.EOF
	case f.begun && f.cursor.Buffered():
		r.take(dest)
		return nil
	}
	s.mu.Lock() // also while values are taken, which may still be SQLite's own
	defer s.mu.Unlock()
	if s.inner == nil || r.killed.Load() { // it may have been prepared again
		return io.EOF
	}
	if !f.begun {
		r.beginFetch()
	}
	if f.cursor.More() {
		if err := r.fetch(); err != nil {
			return err
		}
		if f.cursor.Buffered() {
			r.take(dest)
			return nil
		}
	}
	if err := r.stepError(); err != nil {
		return err
	}
	return io.EOF
}

// stepError is the error that ended the steps, which the reset that this makes returns
// again. It comes after the rows before it were read: until then inner is asked for the
// types of the columns.
func (r *rows) stepError() error {
	f := r.fetcher
	if f.err == nil && f.cursor.Failed() {
		f.err = r.inner.Close()
	}
	return f.err
}

// take is the next row of those that were fetched.
func (r *rows) take(dest []driver.Value) {
	f := r.fetcher
	f.cursor.Next()
	for i := range dest {
		dest[i] = f.cursor.Value(i, f.types[i], f.loc)
	}
}

// beginFetch, like fetch, is for whoever holds the statement's mu.
func (r *rows) beginFetch() {
	f, s, c := r.fetcher, r.stmt, r.conn
	f.begun = true
	f.types, f.loc = r.inner.DeclTypes(), c.location
	f.cursor.Begin(s.handle, len(f.types))
	if r.ahead && s.handle.Compiled() != s.study.compiled { // to another program
		r.ahead, c.ahead.taken = false, false
		s.study.done, s.study.mayRun = false, false
	}
}

func (r *rows) fetch() error {
	f, c := r.fetcher, r.conn
	if c.dsn.NoMutex {
		c.cancel.interrupter.step.Lock()
		defer c.cancel.interrupter.step.Unlock()
	}
	if f.cancel == nil && f.ctx.Done() != nil {
		f.cancel = c.cancel.interrupter.cancelSteps(f.ctx)
	}
	if f.cancel != nil {
		if !f.cancel.begin() {
			return f.ctx.Err()
		}
		defer f.cancel.end()
	}
	if r.ahead {
		f.cursor.Fetch(c.ahead.handle)
	} else {
		f.cursor.Fetch(0)
	}
	if err := f.ctx.Err(); err != nil {
		r.stepError()
		return err
	}
	if f.cursor.Interrupted() {
		return r.stepError()
	}
	return nil
}

// endFetch comes before the statement is reset.
func (r *rows) endFetch() {
	f := r.fetcher
	if f.begun {
		r.stepError() // its reader did not get so far, and is not to get it from Close
	}
	if r.stmt != nil && f.begun && f.cursor.Read() >= manyRows {
		r.stmt.study.many = true
	}
	f.stop()
	*f = fetcher{cursor: f.cursor, names: f.names}
	r.fetcher, r.conn.freeFetcher = nil, f
}

// copyNames returns a copy of column names.
func (f *fetcher) copyNames(columns []string) []string {
	n := len(columns)
	if n > len(f.names) {
		f.names = make([]string, max(n, 64))
	}
	names := f.names[:n:n]
	f.names = f.names[n:]
	copy(names, columns)
	return names
}

func (f *fetcher) stop() {
	if f.cancel != nil {
		f.cancel.stop()
	}
}
