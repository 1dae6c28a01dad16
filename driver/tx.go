package driver

import (
	"context"
	"database/sql/driver"

	sqlite3 "github.com/mattn/go-sqlite3"
)

var _ driver.Tx = (*tx)(nil)

// tx is a hold on its connection from BeginTx until Commit or Rollback,
// whatever those return: database/sql considers it ended then.
type tx struct{ conn *conn }

// Commit never waits at the gate. Like go-sqlite3, it rolls back what it can't commit.
func (t *tx) Commit() error {
	c := t.conn
	if !t.enter("COMMIT") {
		return ErrForced
	}
	defer c.exit()
	c.holds--
	c.raw = false
	err := c.control.commit.run(context.Background(), c)
	for isBusy(err) && c.inTransaction() && c.sitOut(context.Background(), "COMMIT") {
		err = c.control.commit.run(context.Background(), c)
	}
	if err != nil {
		if c.wasForced(err) {
			err = &forcedError{err}
		}
		t.rollback()
	}
	c.endWriting()
	return err
}

// Rollback never waits at the gate. It is no error if a forced freeze has already
// rolled the transaction back.
func (t *tx) Rollback() error {
	c := t.conn
	if !t.enter("ROLLBACK") {
		return nil
	}
	defer c.exit()
	c.holds--
	c.raw = false
	err := t.rollback()
	c.endWriting()
	return err
}

// rollback rolls back whatever interrupts it: a forced freeze, or what is left of an
// interrupt meant for an earlier call. If it fails it closes the connection, which
// rolls back, too: nobody else may get that within a transaction.
func (t *tx) rollback() error {
	c := t.conn
	err := c.control.rollback.run(context.Background(), c)
	if err != nil && c.inTransaction() {
		c.mu.Lock()
		finish := c.endHolds()
		c.mu.Unlock()
		finish()
		c.lost.Store(0) // its owner knows
		return nil
	}
	return err
}

// enter begins the end of the transaction; false if a forced freeze took it.
func (t *tx) enter(query string) bool {
	if t.conn.lost.CompareAndSwap(lostTx, 0) {
		return false
	}
	return t.conn.enterHold(query)
}

// control keeps the transaction control statements prepared.
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
	if s.inner == nil {
		inner, err := c.inner.Prepare(s.query)
		if err != nil {
			return err
		}
		s.inner = inner.(*sqlite3.SQLiteStmt)
	}
	_, err := s.inner.ExecContext(ctx, nil)
	return err
}
