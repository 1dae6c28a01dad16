package driver

import "os"

// descriptorsOf returns how many descriptors SQLite has for each connection of a
// database, and how many for all together: in WAL mode the -wal and the -shm, too.
func descriptorsOf(path string) (each, all int) {
	if _, err := os.Stat(path + "-wal"); err == nil {
		return 2, 1
	}
	return 1, 0
}

// keepDescriptors fills the reserve of c, which a freeze has closed, up to n.
func (c *conn) keepDescriptors(n int) {
	if n == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.reserve.Fill(n)
	}
}

// releaseDescriptors makes room for what c is about to open. The caller owns c.
func (c *conn) releaseDescriptors() {
	c.reserve.Release()
	if c.db != nil {
		c.db.releaseDescriptors()
	}
}

func (d *Database) releaseDescriptors() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reserve.Release()
}
