package driver

import (
	"cmp"
	"slices"
	"time"
)

// Holders returns what is keeping the database's connections busy at this moment, longest
// first, with those last that may only be waiting for others: what a Freeze would have to
// wait for. Holder.For counts from the first time that the hold was seen, by Holders, a Freeze
// or the driver when it checks the file (see the package's documentation for how often that
// is), since calls read no clock. Only a Freeze sees a transaction begun by SQL text.
func (d *Database) Holders() []Holder {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.holdersLocked(isHeld)
}

func isHeld(_ *conn, w word) bool { return w.state() == stateHeld || w.state() == stateBusy }

func (d *Database) holdersLocked(holds func(*conn, word) bool) []Holder {
	now := time.Now()
	var out []Holder
	for c := range d.conns {
		w := c.state.load()
		if !holds(c, w) { // for all that is seen now: that of a transaction begun by SQL text is not
			continue
		}
		seen := d.sightings[c]
		if seen.period != w.period() || seen.at.IsZero() {
			seen = sighting{w.period(), now}
			d.sightings[c] = seen
		}
		if h, ok := c.holder(); ok {
			h.For = now.Sub(seen.at)
			out = append(out, h)
		}
	}
	return sortHolders(out)
}

// sortHolders puts those first that others may be waiting for, and then those that hold
// the longest. SQLite can't be asked who waits for whom: it tells nobody which connection
// has a lock.
func sortHolders(all []Holder) []Holder {
	anyTx := slices.ContainsFunc(all, func(h Holder) bool { return h.tx })
	anyHeld := anyTx || !onlyCalls(all)
	mayWait := func(h Holder) bool { return h.Kind == HoldCall && !h.tx && !readsOnly(h.Query) }
	for i := range all {
		all[i].Waits = anyTx && mayWait(all[i])
	}
	rank := func(h Holder) int {
		if anyHeld && mayWait(h) { // with a rollback journal also for Rows
			return 1
		}
		return 0
	}
	slices.SortFunc(all, func(a, b Holder) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.For, a.For), cmp.Compare(a.Query, b.Query))
	})
	return all
}

// holder describes what holds c; false if that ends meanwhile. It must not ask SQLite:
// a step of Rows may hold the connection's mutex for as long as it takes, and
// Database.mu is held here.
func (c *conn) holder() (Holder, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range 100 { // while calls begin and end as we look
		w := c.state.load()
		query, ok := c.latestQuery(w)
		if !ok {
			continue
		}
		switch w.state() {
		case stateBusy:
			return Holder{Kind: HoldCall, Query: query, tx: w.inner()}, true
		case stateHeld:
			if !c.claim() {
				continue
			}
			h := Holder{Kind: HoldRaw, Query: query}
			if c.rows != nil {
				h = Holder{Kind: HoldRows, Query: c.rows.query}
			} else if c.holds > 0 {
				h.Kind = HoldTx
			}
			h.tx = c.rows == nil || c.raw || c.holds > c.countRows()
			c.unclaim(stateHeld)
			return h, true
		default:
			return Holder{}, false
		}
	}
	return Holder{}, false
}

func (c *conn) countRows() (n int) {
	for r := c.rows; r != nil; r = r.next {
		n++
	}
	return n
}
