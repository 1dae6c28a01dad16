package driver

import (
	"database/sql/driver"

	sqlite3 "github.com/mattn/go-sqlite3"
)

var _ driver.Tx = (*tx)(nil)

// tx is a hold on its connection from BeginTx until Commit or Rollback,
// whatever those return: database/sql considers it ended then.
type tx struct {
	conn  *conn
	inner *sqlite3.SQLiteTx
}

// Commit never waits at the gate.
func (t *tx) Commit() error {
	c := t.conn
	if !t.enter("COMMIT") {
		return ErrForced
	}
	defer c.exit()
	c.holds--
	return t.inner.Commit()
}

// Rollback never waits at the gate. That a forced freeze has rolled the
// transaction back already is no error.
func (t *tx) Rollback() error {
	c := t.conn
	if !t.enter("ROLLBACK") {
		return nil
	}
	defer c.exit()
	c.holds--
	return t.inner.Rollback()
}

// enter begins the end of the transaction; false if a forced freeze took it.
func (t *tx) enter(query string) bool {
	if t.conn.lost.CompareAndSwap(lostTx, 0) {
		return false
	}
	return t.conn.enterHold(query)
}
