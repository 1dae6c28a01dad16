package driver

import (
	"context"
	"database/sql/driver"
	"io"

	"hotswap/internal/door"
)

func (r *rows) Next(dest []driver.Value) error {
	if r.closed {
		return io.EOF
	}
	defer r.conn.endStep()
	return r.conclude(r.advance(dest))
}

// conclude turns what ended a step into what the reader gets.
func (r *rows) conclude(err error) error {
	switch {
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
	if err == nil && !r.begun {
		r.begun = true
		r.noteLarge(dest)
	}
	return err
}

func (r *rows) noteLarge(row []driver.Value) {
	for _, v := range row {
		if b, ok := v.([]byte); ok && len(b) >= largeValue && r.stmt != nil {
			r.stmt.study.large = true
		}
	}
}

func (r *rows) step(dest []driver.Value) (err error) {
	if r.begun && r.fetches() {
		return r.fetchNext(dest)
	}
	if r.conn.dsn.NoMutex {
		r.conn.cancel.interrupter.step.Lock()
		defer r.conn.cancel.interrupter.step.Unlock()
	}
	if !r.attaches {
		return r.inner.Next(dest)
	}
	door.As(r.conn, func() { err = r.inner.Next(dest) })
	return err
}

// fetches reports whether the steps after the first are the fetcher's.
func (r *rows) fetches() bool { return !r.attaches && r.stmt != nil && r.handled }

// Close never waits at the gate.
func (r *rows) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	c := r.conn
	if r.killed.Load() || !c.enterHold(r.query) {
		r.fetcher.stop()
		return nil
	}
	if r.killed.Load() { // and the connection holds something new already
		r.fetcher.stop()
		c.exit()
		return nil
	}
	defer c.exit()
	r.endFetch()
	err := r.inner.Close()
	if s := r.stmt; s != nil && !s.out {
		c.cache.put(s, err == nil)
	}
	if r.prev == r {
		c.restored(r.next)
	}
	c.unlinkRows(r)
	if r.attaches {
		c.noteAttached()
	}
	return err
}
