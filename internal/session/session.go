// Package session is what an SQLite connection was told by SQL text, PRAGMA settings
// and ATTACH, and how another one is told the same.
package session

import (
	"database/sql/driver"
	"slices"
	"strings"

	"hotswap/internal/sqltext"
)

// Session is what one connection was told and a reopened one must be told again, in
// order. It is not for concurrent use.
type Session struct {
	settings []Setting
	// CountChanges is set once PRAGMA count_changes was: a write may return a row.
	CountChanges bool
	// Temp is set once something was made in the temp schema: it is lost when the
	// connection closes.
	Temp bool
}

// Setting is a statement that a connection is told. It is not changed once a Session
// has it.
type Setting struct {
	Key   string // a later setting of the same key takes the earlier one's place
	What  string // for people; without arguments but an attached file's path
	Query string
	Args  []driver.NamedValue
	File  string // that is attached; "" for none, or one that the system does not know
	link  string // the name, absolute, that led to File by a symlink; else ""
}

// Settings returns what the connection was told.
func (s *Session) Settings() []Setting { return slices.Clone(s.settings) }

// Set adds a setting, of which it keeps copies.
func (s *Session) Set(o Setting) {
	s.Remove(o.Key)
	o.Query = strings.Clone(o.Query)
	o.Args = slices.Clone(o.Args)
	for i, arg := range o.Args {
		if arg.Name == "" {
			o.Args[i].Ordinal = i + 1
		}
		if b, ok := arg.Value.([]byte); ok {
			o.Args[i].Value = slices.Clone(b)
		}
	}
	s.settings = append(s.settings, o)
}

// Remove drops the setting of a key.
func (s *Session) Remove(key string) {
	s.settings = slices.DeleteFunc(s.settings, func(o Setting) bool { return o.Key == key })
}

// Has reports whether there is a setting of the key.
func (s *Session) Has(key string) bool {
	return slices.ContainsFunc(s.settings, func(o Setting) bool { return o.Key == key })
}

// Find returns the setting whose key ends so.
func (s *Session) Find(suffix string) (Setting, bool) {
	i := slices.IndexFunc(s.settings, func(o Setting) bool { return strings.HasSuffix(o.Key, suffix) })
	if i < 0 {
		return Setting{}, false
	}
	return s.settings[i], true
}

// KeepAttached forgets the attached schemas that are not there.
func (s *Session) KeepAttached(there []Schema) {
	for _, o := range slices.Clone(s.settings) {
		if name, ok := o.Attaches(); ok {
			if _, ok := Find(there, name); !ok {
				s.Forget(name)
			}
		}
	}
}

// Forget drops an attached schema and its pragmas.
func (s *Session) Forget(schema string) {
	schema = sqltext.Lower(schema)
	s.settings = slices.DeleteFunc(s.settings, func(o Setting) bool {
		return o.Key == AttachKey(schema) || strings.HasPrefix(o.Key, "pragma "+schema+".")
	})
}

// AttachKey is the key of the setting that attaches a schema.
func AttachKey(schema string) string { return "attach " + sqltext.Lower(schema) }

// Attaches returns the schema that the setting attaches, if it does.
func (o *Setting) Attaches() (schema string, ok bool) { return strings.CutPrefix(o.Key, "attach ") }
