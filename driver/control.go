package driver

import (
	"context"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// control keeps the transaction control statements prepared, where a connection keeps any.
type control struct{ begin, commit, rollback controlStmt }

func newControl(begin string) control {
	return control{controlStmt{query: begin}, controlStmt{query: "COMMIT"}, controlStmt{query: "ROLLBACK"}}
}

func (ct *control) close() {
	for _, s := range []*controlStmt{&ct.begin, &ct.commit, &ct.rollback} {
		s.close()
	}
}

type controlStmt struct {
	query string
	inner *sqlite3.SQLiteStmt // nil until it is needed
}

func (s *controlStmt) close() {
	if s.inner != nil {
		s.inner.Close()
		s.inner = nil
	}
}

func (s *controlStmt) run(ctx context.Context, c *conn) error {
	if err := s.prepare(c.inner); err != nil {
		return err
	}
	if !c.keeps() {
		defer s.close()
	}
	_, err := s.inner.ExecContext(ctx, nil)
	return err
}

func (s *controlStmt) prepare(c *sqlite3.SQLiteConn) error {
	if s.inner != nil {
		return nil
	}
	inner, err := c.Prepare(s.query)
	if err != nil {
		return err
	}
	s.inner = inner.(*sqlite3.SQLiteStmt)
	return nil
}
