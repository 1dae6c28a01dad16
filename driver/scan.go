//go:build go1.27

package driver

import (
	"database/sql"
	"database/sql/driver"
)

var _ driver.RowsColumnScanner = (*scanner)(nil)

// scanner is Rows of which database/sql has each column put where the program wants it,
// rather than ask for all values. It holds a lock of its own on the connection meanwhile,
// also while a program's sql.Scanner runs, which could for ever wait for that lock if it
// used the same transaction, or the same sql.Conn. So these are only Rows that have their
// connection to themselves.
type scanner struct {
	*rows
	first []driver.Value // of the first row, if go-sqlite3 has read it
}

// forReader returns what database/sql gets of r: for a row of small values it is quicker to
// have those than to find out whether anybody else can use the connection. The caller owns
// that, in the call that opened r.
func (r *rows) forReader() driver.Rows {
	if !r.fetches() || !r.stmt.study.many && !r.stmt.study.large || !r.ahead && !r.conn.onlyQuery() {
		return r
	}
	r.scanner = scanner{rows: r}
	return &r.scanner
}

func (s *scanner) NextRow() error {
	defer s.conn.endStep()
	return s.conclude(s.nextRow())
}

func (s *scanner) nextRow() error {
	r := s.rows
	s.first = nil
	if r.begun {
		if r.fetches() {
			return r.fetchNext(nil)
		}
	} else if err := r.fetcher.ctx.Err(); err != nil {
		return err
	} else if r.reread() {
		return nil
	}
	s.first = make([]driver.Value, len(r.inner.Columns()))
	return r.advance(s.first)
}

// reread makes the first row the current one, for which go-sqlite3 has stepped the
// statement when it was run.
func (r *rows) reread() bool {
	r.stmt.mu.Lock()
	defer r.stmt.mu.Unlock()
	if r.stmt.inner == nil || r.killed.Load() {
		return false
	}
	r.beginFetch()
	r.begun = r.fetcher.cursor.Reread()
	if r.begun {
		r.fetcher.cursor.Next()
	}
	return r.begun
}

// ScanColumn may be called while a forced freeze takes r.
func (s *scanner) ScanColumn(ctx driver.ScanContext, i int, dest any) error {
	if s.first != nil {
		return sql.ConvertAssign(ctx, dest, s.first[i])
	}
	value, done, err := s.column(i, dest)
	if done || err != nil {
		return err
	}
	return sql.ConvertAssign(ctx, dest, value) // with no lock held: it may call the program
}

func (s *scanner) column(i int, dest any) (value driver.Value, done bool, err error) {
	f := s.fetcher
	if f.cursor.Direct() {
		mu := &s.stmt.mu
		mu.Lock()
		defer mu.Unlock()
		if s.stmt.inner == nil || s.killed.Load() {
			return nil, false, ErrForced
		}
	}
	if f.cursor.Scan(i, f.types[i], f.loc, dest) {
		return nil, true, nil
	}
	return f.cursor.Value(i, f.types[i], f.loc), false, nil
}
