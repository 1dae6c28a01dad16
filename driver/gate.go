package driver

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
)

// The gate is not a lock that calls pass through: it is the sum of the state
// words of a database's connections. A call that finds no want mark pays two
// compare-and-swaps on a word that only its own connection's user writes.

// A connection's state word, from the low end: the state, two marks, a
// count of calls, and a count of periods (a period lasts from idle to idle).
// The counts let an observer tell whether it looks at the same call, or the
// same hold, as before without any clock on the calls' side.
const (
	stateIdle   = 0 // between calls, nothing held
	stateHeld   = 1 // between calls; Rows or a transaction are open
	stateBusy   = 2 // inside a call, or claimed by a holder of conn.mu or by Reconnect
	stateFrozen = 3 // the SQLite connection is closed for a freeze, or for good

	stateMask  = 3
	wantMark   = 4
	innerMark  = 8 // the call began while something was held: it is not a period's first
	callUnit   = 1 << 4
	periodUnit = 1 << 34
	periodMask = ^uint64(periodUnit - 1)
)

func stateString(w uint64) string {
	s := [...]string{"idle", "held", "busy", "frozen"}[w&stateMask]
	if w&wantMark != 0 {
		s += "+want"
	}
	return s
}

// enter begins a call: it waits while the gate is closed to this connection,
// and reopens the SQLite connection if a swap has closed it. On success the
// caller owns the connection until exit. It returns ctx.Err() if ctx ends
// first, and then the connection is as it was.
func (c *conn) enter(ctx context.Context, query string) error {
	w := c.state.Load()
	c.noteQuery(w, query)
	switch w & (stateMask | wantMark) {
	case stateIdle:
		if !c.state.CompareAndSwap(w, w+(stateBusy-stateIdle)+callUnit+periodUnit) {
			return c.enterSlow(ctx, query)
		}
	case stateHeld:
		if !c.state.CompareAndSwap(w, w+(stateBusy-stateHeld)+innerMark+callUnit) {
			return c.enterSlow(ctx, query)
		}
	default:
		return c.enterSlow(ctx, query)
	}
	if c.inner != nil {
		return nil
	}
	return c.revive(ctx, query)
}

// noteQuery notes the query of the call that comes after those counted in w.
// There are two places, for an even and an odd count: an observer finds the
// latest call's query where its word says, and this one is written elsewhere.
func (c *conn) noteQuery(w uint64, query string) {
	c.queries[(w/callUnit+1)%2] = query
}

// latestQuery returns the query of the call that made the word w; false if the
// word has changed, and then what was read may not even be a whole string. Any
// goroutine may call it. The place is written again by the next call but one,
// which a word that did not change has not seen: the race detector can't know.
//
//go:norace
func (c *conn) latestQuery(w uint64) (string, bool) {
	q := c.queries[w/callUnit%2]
	if !c.state.CompareAndSwap(w, w) {
		return "", false
	}
	return strings.Clone(q), true
}

// exit ends a call; deferred, also one that panics.
func (c *conn) exit() {
	if p := recover(); p != nil {
		c.exitPanicking()
		panic(p)
	}
	w := c.state.Load()
	next := (w - stateBusy + stateIdle) &^ innerMark
	if c.holds > 0 {
		next = (w - stateBusy + stateHeld) &^ innerMark
	}
	if w&wantMark != 0 || !c.state.CompareAndSwap(w, next) {
		c.exitSlow()
	}
}

// enterSlow is enter for everything but an open gate.
func (c *conn) enterSlow(ctx context.Context, query string) error {
	var waited *wait
	for {
		// Fetched before the state is read: if the gate opens in between, this
		// channel is already closed and nothing is missed.
		opened := c.opened()
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return driver.ErrBadConn // as a closed go-sqlite3 connection says to Ping
		}
		if reopened := c.reopening; reopened != nil {
			c.mu.Unlock()
			select {
			case <-reopened:
				continue
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		c.holdRaw()
		w := c.state.Load()
		state := w & (stateMask | wantMark)
		if state == stateIdle|wantMark && c.db.lets(query) {
			state = stateIdle
		}
		switch state {
		case stateIdle, stateHeld, stateHeld | wantMark:
			next := w - w&stateMask + stateBusy + callUnit
			if w&stateMask == stateIdle {
				next += periodUnit
			} else {
				next += innerMark
			}
			ok := c.state.CompareAndSwap(w, next)
			c.mu.Unlock()
			if !ok {
				continue
			}
			waited.end()
			if c.inner != nil {
				return nil
			}
			return c.revive(ctx, query)
		case stateIdle | wantMark, stateFrozen | wantMark:
			c.mu.Unlock()
			if c.lost.Load() != 0 {
				return c.lostError()
			}
			if c.db.refusing() {
				return ErrReplaced
			}
		default:
			// Busy, and not by a claimer, who would hold mu, nor by Reconnect; or
			// frozen with no mark.
			c.mu.Unlock()
			panic("hotswap: two calls at once on one connection (" + stateString(w) + ")")
		}
		if waited == nil {
			waited = c.db.beginWait(c, query)
		}
		if err := c.db.await(ctx, opened); err != nil {
			return err
		}
	}
}

// lets reports whether a marked connection may be used for the query.
func (d *Database) lets(query string) bool {
	f := d.filter.Load()
	return f != nil && !f.stops(query)
}

// exitSlow is exit for a connection that a freeze wants.
func (c *conn) exitSlow() {
	// Under mu, so that no observer sees a state that is still to be corrected.
	c.mu.Lock()
	drained := false
	for {
		w := c.state.Load()
		next := (w - stateBusy + stateIdle) &^ innerMark
		if c.holds > 0 || w&wantMark != 0 && c.inTransaction() {
			next = (w - stateBusy + stateHeld) &^ innerMark
		}
		if c.state.CompareAndSwap(w, next) {
			drained = next&(stateMask|wantMark) == stateIdle|wantMark
			break
		}
	}
	c.mu.Unlock()
	if drained {
		c.db.signal()
	}
}

// enterHold begins the end of a hold (Rows.Close, Commit, Rollback): it never
// waits. It reports false if the hold is gone because a forced freeze took it.
func (c *conn) enterHold(query string) bool {
	w := c.state.Load()
	c.noteQuery(w, query)
	if w&(stateMask|wantMark) == stateHeld && c.state.CompareAndSwap(w, w+(stateBusy-stateHeld)+innerMark+callUnit) {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		w := c.state.Load()
		if w&stateMask != stateHeld {
			return false
		}
		if c.state.CompareAndSwap(w, w+(stateBusy-stateHeld)+innerMark+callUnit) {
			return true
		}
	}
}

// inTransaction reports whether SQLite has a transaction open on c, begun by
// whatever means. The caller owns c or holds mu while c is idle.
func (c *conn) inTransaction() bool {
	return c.inner != nil && !c.inner.AutoCommit()
}

// mark puts the want mark on c, whoever has it: a call that has not begun will
// wait. The holder of Database.mu goes on to want.
func (c *conn) mark() {
	for {
		w := c.state.Load()
		if w&wantMark != 0 || c.state.CompareAndSwap(w, w|wantMark) {
			return
		}
	}
}

// want waits for who holds mu of c, which is marked.
func (c *conn) want() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holdRaw()
}

// holdRaw makes c held if it is idle, marked, and in a transaction that was begun
// by SQL text, which only SQLite knows of: the mark alone does not drain it. The
// caller holds mu.
func (c *conn) holdRaw() {
	w := c.state.Load()
	if w&(stateMask|wantMark) == stateIdle|wantMark && c.inTransaction() {
		// Nobody moves a marked idle connection but under mu.
		c.mustSwap(w, w-stateIdle+stateHeld)
	}
}

// release takes the want mark off c; a frozen connection becomes idle.
func (c *conn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		w := c.state.Load()
		next := w &^ wantMark
		if w&stateMask == stateFrozen && !c.closed {
			next = next - stateFrozen + stateIdle
		}
		if c.state.CompareAndSwap(w, next) {
			return
		}
	}
}

// claim takes c, idle or held, away from its user for a moment. The caller
// holds mu until unclaim, and a call that comes in between waits for mu.
func (c *conn) claim() bool {
	w := c.state.Load()
	if s := w & stateMask; s != stateIdle && s != stateHeld {
		return false
	}
	return c.state.CompareAndSwap(w, w-w&stateMask+stateBusy)
}

func (c *conn) unclaim(state uint64) {
	for {
		w := c.state.Load() // a mark may come meanwhile
		if c.state.CompareAndSwap(w, w-w&stateMask+state) {
			return
		}
	}
}

// drained reports whether c keeps a freeze from going on.
func drained(w uint64) bool {
	s := w & (stateMask | wantMark)
	return s == stateIdle|wantMark || s&stateMask == stateFrozen
}

// mustSwap makes a transition that nobody may contend for.
func (c *conn) mustSwap(from, to uint64) {
	if !c.state.CompareAndSwap(from, to) {
		panic(fmt.Sprintf("hotswap: connection state %s changed under its owner, wanted %s to %s",
			stateString(c.state.Load()), stateString(from), stateString(to)))
	}
}
