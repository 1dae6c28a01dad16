package driver

import (
	"slices"
	"strings"

	"hotswap/internal/door"
	"hotswap/internal/session"
)

// Who in this process has the database's file open, and how.

// Attachers returns the other managed databases of which a connection has this one
// attached, by whatever means, sorted by path. Those connections have its file open,
// too, and Freeze does not close them: whoever replaces the file freezes these
// databases as well. A push does.
func (d *Database) Attachers() []*Database {
	var all []*Database
	for _, h := range door.Open(d.Path()) {
		if c, ok := h.Opener.(*conn); ok && c.db != nil && c.db != d && !slices.Contains(all, c.db) {
			all = append(all, c.db)
		}
	}
	slices.SortFunc(all, func(a, b *Database) int { return strings.Compare(a.Path(), b.Path()) })
	return all
}

// pushing reports whether a push has the database's file open.
func (d *Database) pushing() bool {
	return slices.ContainsFunc(door.Open(d.Path()), func(h door.Handle) bool {
		_, ok := h.Opener.(*ownConn)
		return ok
	})
}

// strangers counts the opens of the database's file in this process that belong to no
// managed connection, and so can't be closed.
func (d *Database) strangers() (n int) {
	for _, h := range door.Open(d.Path()) {
		switch o := h.Opener.(type) {
		case *conn:
			if o.db == nil {
				n++
			}
		case *ownConn: // a push's own, closed soon
		default:
			n++
		}
	}
	return n
}

// Strangers counts the opens of the file that belong to no connection of the database.
func (d insider) Strangers() (n int) {
	for _, h := range door.Open(d.Path()) {
		if c, ok := h.Opener.(*conn); !ok || c.db != d.Database {
			n++
		}
	}
	return n
}

// Outsiders counts the opens of the file that belong to no managed connection.
func (d insider) Outsiders() int { return d.strangers() }

// Unlocked reports whether a connection has the file open without SQLite's locks.
func (d insider) Unlocked(closed bool) bool {
	for _, h := range door.Open(d.Path()) {
		if c, ok := h.Opener.(*conn); h.Unlocked && !(closed && ok && c.db == d.Database) {
			return true
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		if c.dsn.Unlocked && !closed {
			return true
		}
	}
	return false
}

// SharesCache reports whether a connection of d may read the file through a shared
// cache.
func (d insider) SharesCache(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		if c.dsn.Shared {
			return true
		}
	}
	for _, h := range door.Open(path) {
		if c, ok := h.Opener.(*conn); ok && c.db == d.Database && h.Shared {
			return true
		}
	}
	return false
}

// Exclusive says how a connection came to keep the database locked for itself.
func (d insider) Exclusive() (how string) {
	for _, c := range d.connections() {
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
