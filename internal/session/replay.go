package session

import (
	"context"
	"os"
	"slices"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/dbpath"
)

// Replay applies the setting to another connection. It returns an fs.ErrNotExist for an
// attached file that is gone, which SQLite would create anew, empty.
func (o Setting) Replay(inner *sqlite3.SQLiteConn) error {
	if schema, name, ok := o.sets(); ok && name == "journal_mode" {
		if mode, _ := Pragma(inner, Quote(schema)+".journal_mode"); mode == "wal" {
			return nil // on a WAL file it would not be a setting but a conversion
		}
	}
	if o.File != "" {
		if _, err := os.Stat(o.File); err != nil {
			return err
		}
	}
	_, err := inner.ExecContext(context.Background(), o.Query, o.Args)
	return err
}

// Followed returns the setting as it is to be replayed now: if a symlink in the name of
// an ATTACH was repointed to another managed database, it attaches that.
func (o Setting) Followed(managed func(path string) bool) Setting {
	if o.link == "" {
		return o
	}
	now, err := dbpath.Real(o.link)
	if err != nil || now == o.File || !managed(now) {
		return o
	}
	name, _ := o.Args[0].Value.(string)
	to := now
	if rest, isURI := strings.CutPrefix(name, dbpath.URI(o.File)); isURI {
		to = dbpath.URI(now) + rest
	}
	link := o.link
	o = o.InPlaceOf(to)
	o.File, o.link = now, link
	return o
}

// InPlaceOf returns an ATTACH of another database, by this name, under the setting's
// own schema. Replay does not check that its file is there.
func (o Setting) InPlaceOf(name string) Setting {
	o.Args = slices.Clone(o.Args)
	o.Args[0].Value = name
	o.File, o.link = "", ""
	return o
}
