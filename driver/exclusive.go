package driver

import (
	"database/sql/driver"
	"slices"
	"strings"
)

// Exclusive says how a connection of the program has come to keep the database
// locked for itself alone, from one transaction to the next
// (https://www.sqlite.org/pragma.html#pragma_locking_mode); "" if none does. It
// asks those that are idle at the moment: a call that comes meanwhile waits for
// microseconds.
func (d *Database) Exclusive() (how string) {
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

// exclusive is Exclusive of one connection.
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
	i := slices.IndexFunc(c.session.settings, func(s setting) bool { return strings.HasSuffix(s.key, ".locking_mode") })
	switch {
	case i < 0:
		return "PRAGMA locking_mode=EXCLUSIVE in a connect hook or driver.Raw"
	case strings.Contains(strings.ToLower(c.session.settings[i].query), "exclusive"):
		return c.session.settings[i].query
	}
	return "PRAGMA locking_mode=EXCLUSIVE, which in WAL mode lasts until the connection is closed"
}

// isExclusive asks SQLite, which has not to look at the file for that.
func (c *conn) isExclusive() bool {
	rows, err := c.inner.Query("PRAGMA main.locking_mode", nil)
	if err != nil {
		return false
	}
	defer rows.Close()
	v := make([]driver.Value, 1)
	return rows.Next(v) == nil && v[0] == "exclusive"
}
