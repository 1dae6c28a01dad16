package driver

import (
	"strings"

	"hotswap/internal/session"
)

// Exclusive says how a connection came to keep the database locked for itself.
func (d insider) Exclusive() (how string) {
	d.mu.Lock()
	conns := make([]*conn, 0, len(d.conns))
	for c := range d.conns {
		conns = append(conns, c)
	}
	d.mu.Unlock()
	for _, c := range conns {
		if how := c.exclusive(); how != "" {
			return how
		}
	}
	return ""
}

// exclusive is Exclusive for one connection.
func (c *conn) exclusive() (how string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.state.load().state() != stateIdle || !c.claim() {
		return ""
	}
	defer c.unclaim(stateIdle)
	if c.inner == nil || !c.isExclusive() {
		return ""
	}
	if name := c.dsn.Locking(); name != "" {
		return name + " in its data source name"
	}
	setting, ok := c.session.Find(".locking_mode")
	switch {
	case !ok:
		return "PRAGMA locking_mode=EXCLUSIVE in a connect hook or driver.Raw"
	case strings.Contains(strings.ToLower(setting.Query), "exclusive"):
		return setting.Query
	}
	return "PRAGMA locking_mode=EXCLUSIVE, which in WAL mode lasts until the connection is closed"
}

// isExclusive asks SQLite, which need not look at the file for that.
func (c *conn) isExclusive() bool {
	mode, _ := session.Pragma(c.inner, "main.locking_mode")
	return mode == "exclusive"
}
