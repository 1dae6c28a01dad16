package driver

import (
	"context"
	"sync/atomic"
	"time"
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

// stepEnds sets ended, and then calls then, once no step of Rows runs on c.
func (c *conn) stepEnds(then func()) (ended *atomic.Bool) {
	ended = new(atomic.Bool)
	go func() {
		c.cancel.interrupter.awaitStep()
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
