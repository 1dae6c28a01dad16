package driver

import "hotswap/internal/door"

// Unlocked reports whether a connection, of this process and as far as those are
// seen, has the file open without SQLite's locks (immutable=1 or nolock=1): to such
// a one a content that is written in place is a malformed database. Those of the
// database itself count unless they are closed, and stay so until it is written.
func (d *Database) Unlocked(closed bool) bool {
	for _, h := range door.Open(d.Path()) {
		if c, ok := h.Opener.(*conn); h.Unlocked && !(closed && ok && c.db == d) {
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

// SharesCache reports whether a connection of d may read the file at the path
// through a shared cache.
func (d *Database) SharesCache(path string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		if c.dsn.Shared {
			return true
		}
	}
	for _, h := range door.Open(path) {
		if c, ok := h.Opener.(*conn); ok && c.db == d && h.Shared {
			return true
		}
	}
	return false
}
