package driver

import (
	"context"
	"fmt"
)

// Reconnect opens the SQLite connections of the idle connections that a swap
// closed, rather than leave that to their next call. It returns how many it
// opened, and the first error; the call that comes next will try again. It
// waits for no gate and passes over what is in use.
func (d *Database) Reconnect() (n int, err error) {
	d.mu.Lock()
	all := make([]*conn, 0, len(d.conns))
	for c := range d.conns {
		all = append(all, c)
	}
	d.mu.Unlock()
	for _, c := range all {
		opened, openErr := c.reconnect()
		if opened {
			n++
		}
		if err == nil {
			err = openErr
		}
	}
	return n, err
}

// reconnect is like a call, in that nothing is locked while it goes on: it may
// wait behind another process's lock, and runs the connect hook, which may ask the
// Database for something.
func (c *conn) reconnect() (opened bool, err error) {
	c.mu.Lock()
	w := c.state.load()
	idle := w.state() == stateIdle && !w.wanted() && c.claim()
	if idle && (c.inner != nil || c.closed || c.lost.Load() != 0) {
		c.unclaim(stateIdle)
		idle = false
	}
	if idle {
		c.reopening = make(chan struct{})
	}
	c.mu.Unlock()
	if !idle {
		return false, nil
	}
	defer func() {
		if p := recover(); p != nil { // it is for the call that comes next, and its goroutine
			err = fmt.Errorf("the connect hook panicked: %v", p)
		}
		c.mu.Lock()
		c.unclaim(stateIdle)
		close(c.reopening)
		c.reopening = nil
		c.mu.Unlock()
		c.db.signal() // a freeze may have come meanwhile
	}()
	err = c.open(context.Background())
	return err == nil, err
}
