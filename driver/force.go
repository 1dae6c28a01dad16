package driver

import (
	"context"
	"database/sql/driver"
	"errors"
	"sync/atomic"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// forceGrace bounds the wait for interrupted calls to return, as MaxPause does, too.
const forceGrace = 2 * time.Second

// force closes the gate for the last time: it interrupts the running calls until each
// has returned and then, with nobody inside a call, ends what is held. For the first
// half of the grace period it ends nothing until all calls have returned, and all steps
// of open Rows, which are not calls. After that it ends what is held regardless: a call
// may be waiting for the lock of a transaction, and in that wait SQLite does not notice
// an interrupt.
func (dr *drain) force(ctx context.Context) error {
	d, f := dr.d, dr.frozen
	if err := dr.takeTurn(ctx, dr.opts.Timeout); err != nil {
		return err
	}
	f.Attempts++
	f.closedAt, f.writesWait = time.Now(), time.Time{}
	d.shutGate()
	grace := min(forceGrace, dr.opts.MaxPause)
	dr.opts.Notify(FreezeEvent{Step: FreezeGateClosed, Window: grace})
	end := time.NewTimer(grace)
	defer end.Stop()
	again := time.NewTicker(firstWindow)
	defer again.Stop()
	d.takeForced() // left by an earlier one that failed
	defer func() {
		out := d.takeForced()
		dr.killed += out.connections
		f.lost = append(f.lost, out.lost...)
	}()
	still := map[*conn]*atomic.Bool{} // for those between calls: no step of Rows is running any more
	for {
		left := dr.undrained()
		busy := 0
		for c := range left {
			if c.state.load().state() == stateBusy {
				busy++
				c.interruptByForce()
			}
		}
		if calls := busy; calls == 0 || time.Since(f.closedAt) > grace/2 {
			for c := range left {
				if c.state.load().state() == stateBusy {
					continue
				}
				if still[c] == nil {
					still[c] = c.stepEnds(d.signal)
				}
				if !still[c].Load() {
					busy++
					c.interruptByForce()
				} else if calls > 0 {
					dr.killAll(map[*conn]word{c: 0})
				}
			}
		}
		if busy == 0 {
			if dr.killAll(left) {
				return nil
			}
			continue // one began another call
		}
		select {
		case <-d.drainage:
		case <-again.C:
		case <-end.C:
			return dr.heldBy(dr.holders())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// interruptByForce interrupts what runs on c, whose owner gets ErrForced. It does not
// wait, so that no interrupt is pending when the freeze ends, to hit what begins later.
func (c *conn) interruptByForce() {
	c.interrupted.Store(true)
	c.interrupt()
}

// stepEnds sets ended, and then calls then, once no step of Rows runs on c.
func (c *conn) stepEnds(then func()) (ended *atomic.Bool) {
	ended = new(atomic.Bool)
	go func() {
		c.awaitStep()
		ended.Store(true)
		then()
	}()
	return ended
}

// killAll takes what is held; it returns false if an owner was faster with a call.
func (dr *drain) killAll(left map[*conn]word) bool {
	all := true
	for c := range left {
		c.mu.Lock()
		if c.claim() {
			finish := c.endHolds()
			c.unclaim(stateIdle)
			c.mu.Unlock()
			finish()
			continue
		} else if !c.state.load().drained() {
			all = false
		}
		c.mu.Unlock()
	}
	return all
}

// What a forced freeze took away without its owner knowing it yet.
const (
	lostTx   = 1 // a Tx: reported by Commit, Rollback, or a call in between
	lostRaw  = 2 // a transaction begun by SQL text: reported until its end
	lostTold = 3 // the same, and reported by a call
)

// kill ends everything that c holds, and returns what is still to be closed. The caller
// owns c and holds mu.
func (c *conn) kill() (inner *sqlite3.SQLiteConn) {
	c.interrupted.Store(true)
	c.interrupt()
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

// forcedOut is what a forced freeze has ended.
type forcedOut struct {
	connections int
	lost        []string // as in Frozen
}

func (d *Database) noteForced(lost []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forced.connections++
	d.forced.lost = append(d.forced.lost, lost...)
}

// takeForced returns what was ended since the last time.
func (d *Database) takeForced() forcedOut {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := d.forced
	d.forced = forcedOut{}
	return taken
}

// conclude ends a call that returned err. One that a forced freeze interrupted gets
// ErrForced, and loses what its connection holds; any other error remains the very value
// that go-sqlite3 returned. The caller owns c, and does nothing more with it but exit.
func (c *conn) conclude(err error) error {
	if err == nil {
		return nil
	}
	c.noteDamage(err)
	if !c.wasForced(err) {
		return err
	}
	c.giveIn()
	return &forcedError{err}
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
		return &forcedError{err}
	}
	finish := c.endHolds()
	c.lost.CompareAndSwap(lostRaw, lostTold) // by the step's error
	c.unclaim(stateIdle)
	c.mu.Unlock()
	finish()
	if c.db != nil {
		c.db.signal()
	}
	return &forcedError{err}
}

func isInterrupt(err error) bool {
	var se sqlite3.Error
	return errors.As(err, &se) && se.Code == sqlite3.ErrInterrupt
}
