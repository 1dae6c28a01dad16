package driver

import (
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// damage is the error that told of a damaged file.
type damage struct {
	text       string
	at         time.Time
	generation uint64
}

// Damage returns the first error of the current generation with which SQLite reported a
// damaged file ("database disk image is malformed", "file is not a database" or the
// like), and when; "" if there was none. The damaged file may be an attached one.
func (d *Database) Damage() (text string, at time.Time) {
	met := d.damage.Load()
	if met == nil || met.generation != d.Generation() {
		return "", time.Time{}
	}
	return met.text, met.at
}

// noteDamage records err if it reports damage.
func (c *conn) noteDamage(err error) {
	se, ok := err.(sqlite3.Error)
	if !ok || se.Code != sqlite3.ErrCorrupt && se.Code != sqlite3.ErrNotADB || c.db == nil {
		return
	}
	before := c.db.damage.Load()
	if generation := c.db.Generation(); before == nil || before.generation != generation {
		c.db.damage.CompareAndSwap(before, &damage{se.Error(), time.Now(), generation})
	}
}
