package driver

import (
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
)

// recordSession notes what a call told its connection, and whether it is in a
// transaction now. The caller owns c.
func (c *conn) recordSession(query string, args []driver.NamedValue, err error) {
	c.raw = c.inTransaction()
	if err != nil {
		c.recordWhatHolds(query, args)
		return
	}
	did := c.session.record(query, args)
	if did.attach {
		c.noteAttached()
	}
	for _, key := range did.maybe {
		c.recordPragma(key)
	}
}

// recordWhatHolds notes what holds now of that which a text may have told its
// connection: one that failed, maybe in its second statement, or that was only
// prepared, with a pragma that acts when it is compiled
// (https://www.sqlite.org/pragma.html). The caller owns c.
func (c *conn) recordWhatHolds(query string, args []driver.NamedValue) {
	var told session
	did := told.record(query, args)
	if len(told.settings)+len(did.maybe) == 0 && !did.attach {
		return // BEGIN, say
	}
	c.cache.close() // running a pragma has its statements compiled anew, compiling it does not
	c.session.countChanges = c.session.countChanges || told.countChanges
	var there []string
	if did.attach {
		there = c.noteAttached()
		c.session.keepAttached(there)
	}
	for _, key := range did.maybe {
		c.recordPragma(key)
	}
	for _, o := range told.settings {
		switch schema, attach := strings.CutPrefix(o.key, "attach "); {
		case !attach:
			c.recordPragma(o.key)
		case slices.Contains(there, schema) && !c.session.has(o.key):
			c.session.set(o.key, o.query, o.args)
		}
	}
}

// recordPragma notes the value that a pragma has now, if it tells one.
func (c *conn) recordPragma(key string) {
	schema, name, _ := strings.Cut(strings.TrimPrefix(key, "pragma "), ".")
	pragma := fmt.Sprintf(`PRAGMA "%s".%s`, strings.ReplaceAll(schema, `"`, `""`), name)
	rows, err := c.inner.Query(pragma, nil)
	if err != nil {
		return
	}
	defer rows.Close()
	row := make([]driver.Value, 1)
	if rows.Next(row) != nil {
		return
	}
	if name == "journal_mode" && (row[0] == "wal" || row[0] == "delete") {
		c.session.remove(key) // of the file, and the swap keeps it
	} else {
		c.session.set(key, fmt.Sprintf("%s = %v", pragma, row[0]), nil)
	}
}
