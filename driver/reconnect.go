package driver

import "fmt"

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

func (c *conn) reconnect() (opened bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.state.Load(); w&(stateMask|wantMark) != stateIdle {
		return false, nil
	}
	if !c.claim() {
		return false, nil
	}
	defer func() {
		c.unclaim(stateIdle)
		if p := recover(); p != nil { // it is for the call that comes next, and its goroutine
			err = fmt.Errorf("the connect hook panicked: %v", p)
		}
	}()
	if c.inner != nil || c.closed || c.lost.Load() != 0 {
		return false, nil
	}
	err = c.open()
	return err == nil, err
}
