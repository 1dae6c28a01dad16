package driver

import "hotswap/internal/door"

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
