package driver

import (
	"database/sql/driver"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/sqltext"
)

// conclude ends a call that returned err. One that a forced freeze interrupted gets
// ErrForced, and loses what its connection holds; any other error remains the very value
// that go-sqlite3 returned. The caller owns c, and does nothing more with it but exit.
func (c *conn) conclude(err error) error {
	if err == nil {
		return nil
	}
	c.noteDamage(err)
	c.doubtPlace() // SQLite may have rolled back
	if !c.wasForced(err) {
		return err
	}
	query := c.queries[c.state.load().calls()%2]
	several := c.holds == 0 && !c.raw && (len(query) == longQuery || sqltext.Classify(query).Several)
	c.giveIn()
	return &forcedError{err: err, several: several}
}

// wasForced reports, once, whether err comes from a call that a forced freeze interrupted.
func (c *conn) wasForced(err error) bool {
	return isInterrupt(err) && c.interrupted.CompareAndSwap(true, false)
}

// result is what an Exec of this text returns: a ROLLBACK that was interrupted has
// still succeeded.
func (c *conn) result(res driver.Result, err error, query string) (driver.Result, error) {
	if err = c.conclude(err); c.endsLost(err, query) {
		return driver.RowsAffected(0), nil
	}
	return res, err
}

// concludeStep is conclude for a step of Rows, which does not own c.
func (c *conn) concludeStep(err error) error {
	c.noteDamage(err)
	if !c.wasForced(err) {
		return err
	}
	c.mu.Lock()
	if !c.claim() { // the freeze has it
		c.mu.Unlock()
		return &forcedError{err: err}
	}
	finish := c.endHolds()
	c.lost.CompareAndSwap(lostRaw, lostTold) // by the step's error
	c.unclaim(stateIdle)
	c.mu.Unlock()
	finish()
	if c.db != nil {
		c.db.signal()
	}
	return &forcedError{err: err}
}

func (c *conn) noteDamage(err error) {
	if c.db != nil {
		c.db.damages.note(err, c.db.Generation())
	}
}

// giveIn ends what c holds after a forced freeze has interrupted its owner's call, and
// before that returns. SQLite may have rolled the transaction back by then, as it does
// if a write is interrupted (https://www.sqlite.org/c3ref/interrupt.html): what the
// owner writes next would be committed by itself. Or it may not have, if a read was
// interrupted, or the ROLLBACK itself: the next user of the connection would then be in
// a transaction that is about to be taken. The caller owns c.
func (c *conn) giveIn() {
	if c.holds == 0 && !c.raw && !c.inTransaction() {
		return // nothing but the call
	}
	c.mu.Lock()
	finish := c.endHolds()
	c.lost.CompareAndSwap(lostRaw, lostTold) // by the call's error
	c.mu.Unlock()
	finish()
}

// endHolds ends what c holds for its owner. finish closes the SQLite connection and is
// to be called with no lock held. The caller owns c and holds mu.
func (c *conn) endHolds() (finish func()) {
	lost := c.losing()
	inner := c.kill()
	closed := c.beginClosing(inner)
	return func() {
		c.closeSQLite(inner)
		closed()
		if c.db != nil && inner != nil {
			c.db.noteForced(lost)
		}
	}
}

// kill ends everything that c holds, and returns what is still to be closed. The caller
// owns c and holds mu.
func (c *conn) kill() (inner *sqlite3.SQLiteConn) {
	c.interruptByForce()
	kind := int32(0)
	if c.raw || c.inTransaction() {
		kind = lostRaw
	}
	for r := c.rows; r != nil; r = c.rows {
		c.killRows(r)
	}
	if c.holds > 0 {
		kind = lostTx
		c.holds = 0
	}
	c.lost.Store(kind)
	c.session.Remove(deferral)
	return c.detach() // its close rolls back: https://www.sqlite.org/c3ref/close.html
}

// interruptByForce interrupts what runs on c, whose owner gets ErrForced, unless that is a
// function in Raw. It does not wait, so that no interrupt is pending when the freeze ends,
// to hit what begins later.
func (c *conn) interruptByForce() {
	c.cancel.interrupter.interrupt(&c.interrupted)
}
