package driver

import (
	"hotswap/internal/door"
	"hotswap/internal/session"
)

// noteAttached returns what c has attached, after a change, and claims those files for
// c at the door: go-sqlite3 may have run the ATTACH on a goroutine of its own. The
// caller owns c.
func (c *conn) noteAttached() []session.Schema {
	schemas := session.Schemas(c.inner)
	for _, s := range schemas {
		if s.File != "" {
			door.Claim(c, s.File)
		}
	}
	c.watchAttached()
	// A BEGIN compiled earlier locks only what was attached then.
	c.control.begin.close()
	return schemas
}

// watchAttached makes the managed databases that c has attached, by whatever means, watch
// their files, which may be replaced while they have no connection of their own open.
func (c *conn) watchAttached() {
	for _, h := range door.Of(c) {
		d, ok := managed(h.Path)
		if c.db != nil && d != c.db {
			c.session.Attached = true
		}
		if ok && d != c.db {
			release := d.kept() // its last pool may be closing
			d.noteAttached(h.Path, h.File)
			release()
		}
	}
}

// attaching runs what may attach a file, so that the door attributes the file to c. If
// one is refused because another file is open at its path, the error says so. A text of
// several statements may attach one, too; if that fails, it is noted whether those before
// have changed anything.
func attaching[T any](c *conn, run func() (T, error)) (out T, err error) {
	before, known := c.cancel.interrupter.changes()
	scope := door.As(c, func() { out, err = run() })
	if err != nil {
		after, _ := c.cancel.interrupter.changes()
		c.unchanged = known && after == before
		return out, c.disturbed(scope, err, false)
	}
	c.disturbedSince.Store(0)
	return out, nil
}
