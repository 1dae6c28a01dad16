package driver

import (
	"database/sql/driver"
	"slices"
	"strings"

	"hotswap/internal/dbpath"
)

// noteAttached notes which files c has attached, by their real paths, and returns
// the names of their schemas. The caller owns c.
func (c *conn) noteAttached() (schemas []string) {
	var files []string
	rows, err := c.inner.Query("PRAGMA database_list", nil)
	if err == nil {
		defer rows.Close()
		for row := make([]driver.Value, 3); rows.Next(row) == nil; {
			name, _ := row[1].(string)
			file, _ := row[2].(string)
			if name == "main" || name == "temp" {
				continue
			}
			schemas = append(schemas, strings.ToLower(name))
			if real, err := dbpath.Real(file); file != "" && err == nil {
				files = append(files, real)
			}
		}
	}
	c.attached.Store(&files)
	// One that was compiled before locks only what there was then.
	c.control.begin.close()
	return schemas
}

func (c *conn) hasAttached(path string) bool {
	files := c.attached.Load()
	return files != nil && slices.Contains(*files, path)
}

// Attachers returns the other managed databases of which a connection has this
// one attached: those have its file open, too, and are not closed by its Freeze.
func (d *Database) Attachers() []*Database {
	return slices.DeleteFunc(Databases(), func(o *Database) bool {
		if o == d {
			return true
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		for c := range o.conns {
			if c.hasAttached(d.path) {
				return false
			}
		}
		return true
	})
}

// overwriting returns the one that c may be in the way of: one that goes on, of
// any file that c has open, else its own database's latest.
func (c *conn) overwriting() *overwriting {
	var latest *overwriting
	if c.db != nil {
		if latest = c.db.overwriting.Load(); latest != nil && !latest.over() {
			return latest
		}
	}
	if files := c.attached.Load(); files != nil {
		for _, path := range *files {
			d, ok := Lookup(path)
			if !ok {
				continue
			}
			if o := d.overwriting.Load(); o != nil && (latest == nil || !o.over()) {
				latest = o
			}
		}
	}
	return latest
}
