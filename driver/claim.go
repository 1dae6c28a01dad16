package driver

// What others than a connection's user do with it: a freeze marks it and takes the mark
// away, a reconnect, a copy of a file that is gone, or a forced freeze claims it.

// want waits until nobody holds mu of c, which is already marked, and sees to holdRaw.
func (c *conn) want() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holdRaw()
}

// holdRaw makes c held if it is idle, marked, and in a transaction begun by SQL text,
// which only SQLite knows of: such a connection is not drained by the mark alone. The
// caller holds mu.
func (c *conn) holdRaw() {
	w := c.state.load()
	if w.state() == stateIdle && w.wanted() && c.inTransaction() {
		// A marked idle connection is moved only under mu.
		c.state.mustSwap(w, w.with(stateHeld))
	}
}

// release removes the want mark from c; a frozen connection becomes idle.
func (c *conn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.move(func(w word) word { return w.released(c.closed) })
}

// claim takes c, idle or held, from its user for a moment. The caller holds mu until
// unclaim, and a call that begins in between waits for mu.
func (c *conn) claim() bool {
	w := c.state.load()
	if s := w.state(); s != stateIdle && s != stateHeld {
		return false
	}
	return c.state.swap(w, w.with(stateBusy))
}

// unclaim gives c back in the state s; a mark may have come meanwhile.
func (c *conn) unclaim(s state) {
	c.state.move(func(w word) word { return w.with(s) })
}

// settleEnded is for the end of a write whose Rows stay open. The caller holds mu.
func (c *conn) settleEnded() {
	w := c.state.load().state()
	if !c.claim() {
		return // the call settles it
	}
	if c.doubtPlace(); c.place == placeInDoubt {
		c.settlePlace()
	}
	c.unclaim(w)
}
