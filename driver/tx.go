package driver

import (
	"context"
	"database/sql/driver"
)

var _ driver.Tx = (*tx)(nil)

// BeginTx ignores the isolation level and ReadOnly, as go-sqlite3 does.
func (c *conn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	for {
		tx, err := c.beginTx(ctx)
		if err == nil || !c.awaitRetry(ctx, "BEGIN", err, nil) {
			return tx, err
		}
	}
}

func (c *conn) beginTx(ctx context.Context) (driver.Tx, error) {
	c.executes = true
	err := c.enter(ctx, "BEGIN")
	if err == nil && c.db != nil && c.dsn.Begin != "BEGIN" && c.place == placeNone {
		err = c.takePlace(ctx, "BEGIN")
	}
	c.executes = false
	if err != nil {
		return nil, err
	}
	defer c.exit()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	call, stop := c.cancel.watch(ctx)
	err = c.control.begin.run(call, c)
	if err = c.cancel.unwatch(ctx, stop, err); err != nil {
		return nil, c.conclude(err)
	}
	c.tx.conn = c
	c.begun = true
	if c.place == placeInDoubt {
		c.place = placeHeld
	}
	c.holds++
	return &c.tx, nil
}

// Begin is BeginTx without a context; database/sql does not call it.
func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

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
			err = &forcedError{err: err}
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
