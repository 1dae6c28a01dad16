package driver

import (
	"database/sql/driver"
	"sync"
	"unique"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/cursor"
	"hotswap/internal/sqltext"
)

var (
	_ driver.Stmt             = (*stmt)(nil)
	_ driver.StmtExecContext  = (*stmt)(nil)
	_ driver.StmtQueryContext = (*stmt)(nil)
)

// stmt is a prepared statement: one that Prepare handed out, or one of a
// connection's cache. After a swap it is prepared again on its next use.
type stmt struct {
	conn     *conn
	query    string
	inner    *sqlite3.SQLiteStmt // nil after a swap, until the next use; owned with conn
	handle   cursor.Statement    // of inner; 0 if it can't be had
	study    study               // owned with conn, and changed by steps of Rows
	mu       sync.Mutex          // held by steps of our own, and to finalize inner
	numInput int

	session bool                  // the text may change a schema, or what is replayed on a reopened connection
	class   sqltext.Class         // of conn.cache
	bytes   int                   // of SQLite's memory for it; of conn.cache, once it was there
	bound   int                   // of these, of arguments: go-sqlite3 has room for the longest that there were
	shared  unique.Handle[string] // keeps query shared; of conn.cache
	out     bool                  // handed out by Prepare, and not closed yet

	prev, next *stmt // in conn.stmts, while out; next alone in conn.freeStmts
}

// Close never waits at the gate.
func (s *stmt) Close() error {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.out {
		return nil
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		c.stmts = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	}
	err := s.closeInner()
	ended := false
	for r := c.rows; r != nil; r = r.next {
		r = c.restored(r)
		if r.stmt == s {
			r.stmt, ended = nil, true // finalized beneath them, which go-sqlite3's Rows tolerate
		}
	}
	if ended {
		c.settleEnded()
	}
	s.query, s.study, s.numInput, s.session, s.out, s.prev = "", study{}, 0, false, false, nil
	s.next, c.freeStmts = c.freeStmts, s
	return err
}

func (s *stmt) setInner(inner driver.Stmt) {
	s.inner = inner.(*sqlite3.SQLiteStmt)
	s.study = study{many: s.study.many, large: s.study.large}
}

func (s *stmt) closeInner() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inner == nil {
		return nil
	}
	inner := s.inner
	s.inner, s.handle = nil, 0
	return inner.Close()
}

// memory is about how many bytes the statement takes. The caller owns its connection.
func (s *stmt) memory() int {
	handle := s.handle
	if handle == 0 {
		handle = s.conn.handleOf(s.query)
	}
	if handle == 0 {
		return 8 * len(s.query)
	}
	return handle.Memory()
}

func (s *stmt) NumInput() int { return s.numInput }

// handOut makes a statement for the user, and adds it to those that a freeze must
// finalize. The caller owns c.
func (c *conn) handOut(query string, inner driver.Stmt) *stmt {
	s := c.freeStmts
	if s != nil {
		c.freeStmts = s.next
	} else {
		s = &stmt{conn: c}
	}
	s.query, s.session, s.out = query, sqltext.MayChangeSession(query) || sqltext.BeginsAltering(query), true
	s.setInner(inner)
	s.numInput = s.inner.NumInput()
	s.next = c.stmts
	if s.next != nil {
		s.next.prev = s
	}
	c.stmts = s
	return s
}
