package driver

// Rows that a program drops without closing them would keep their lock, and a freeze
// waiting, for ever: conn.rows refers to them. go-sqlite3's end when the garbage collector
// finds them. So do these, at no cost for those that are closed: each tick puts a stand-in
// in the place of the Rows that are open then, which has all that is needed to end them and
// does not keep them from the collector. One that finds nobody left to stand for ends.

func (d *Database) endLeaked() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		c.endLeaked()
	}
}

// endLeaked ends what has leaked since the last time, and watches for what may by the next.
func (c *conn) endLeaked() {
	if c.state.load().state() != stateHeld {
		return
	}
	if leaked := c.takeLeaked(); leaked != nil {
		go c.end(leaked) // it may have written, and then waits for SQLite's lock
	}
}

// takeLeaked takes the Rows of c from it, for whoever ends them, if all have leaked and c
// holds nothing else: as long as it does it keeps its lock in any case, and steps of other
// Rows may be running.
func (c *conn) takeLeaked() (leaked *rows) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.claim() {
		return nil
	}
	n := 0
	for r := c.rows; r != nil && r.leaked(); r = r.next {
		n++
	}
	if n == 0 || n != c.holds || c.inTransaction() {
		for r := c.rows; r != nil; r = r.next {
			r = c.standIn(r)
		}
		c.unclaim(stateHeld)
		return nil
	}
	for r := c.rows; r != nil; r = r.next {
		if s := r.stmt; s != nil && s.out {
			r.stmt = nil // its user may close it at any time
		}
	}
	leaked, c.rows, c.holds = c.rows, nil, 0
	c.reopening = make(chan struct{})
	return leaked
}

// end closes the Rows that takeLeaked has taken, and gives c back.
func (c *conn) end(leaked *rows) {
	for r := leaked; r != nil; r = r.next {
		err := r.inner.Close()
		if r.stmt != nil {
			c.cache.put(r.stmt, err == nil)
		}
		if r.attaches {
			c.noteAttached()
		}
	}
	if c.place != placeNone {
		c.leavePlace()
	}
	if c.ahead.taken { // by one of them: its stand-in does not know, since a step may decide that
		c.ahead.taken = false
		c.ahead.handle.Reset()
	}
	c.mu.Lock()
	c.unclaim(stateIdle)
	close(c.reopening)
	c.reopening = nil
	c.mu.Unlock()
	if c.db != nil {
		c.db.signal()
	}
}
