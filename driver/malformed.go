package driver

import (
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// damage is what a call has met.
type damage struct {
	text       string
	at         time.Time
	generation uint64
}

// Damage tells of the first call that SQLite answered with "database disk image is
// malformed", "file is not a database" or the like, of the present generation: what
// it said and when; "" if there was none. It may have meant a file that is attached.
func (d *Database) Damage() (text string, at time.Time) {
	met := d.damage.Load()
	if met == nil || met.generation != d.Generation() {
		return "", time.Time{}
	}
	return met.text, met.at
}

// noteDamage takes down an error of a call that tells of damage.
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
