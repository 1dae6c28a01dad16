package driver

import (
	"slices"
	"strings"

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

// watchAttached makes the managed databases that c has attached watch their files,
// which may be replaced while they have no connection of their own open.
func (c *conn) watchAttached() {
	for _, h := range door.Of(c) {
		if d, ok := managed(h.Path); ok && d != c.db {
			release := d.kept() // its last pool may be closing
			d.noteAttached(h.Path, h.File)
			release()
		}
	}
}

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

// attaching runs what may attach a file, so that the door attributes the file to c. If
// one is refused because another file is open at its path, the error says so.
func attaching[T any](c *conn, run func() (T, error)) (out T, err error) {
	scope := door.As(c, func() { out, err = run() })
	if err != nil {
		return out, c.disturbed(scope, err, false)
	}
	c.disturbedSince.Store(0)
	return out, nil
}
