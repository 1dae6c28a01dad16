package driver

import "hotswap/internal/door"

// Unlocked is used by package swapper: it reports whether a connection of the process,
// as far as those can be seen, has the file open without SQLite's locks (immutable=1 or
// nolock=1). To such a connection a database written in place looks malformed. If
// closed is set the database's own connections do not count: they stay closed until it
// is written.
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

// SharesCache is used by package swapper: it reports whether a connection of d may read
// the file at path through a shared cache (cache=shared).
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
