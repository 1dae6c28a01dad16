// Package session records what SQL text has set on an SQLite connection, by PRAGMA and
// ATTACH, and replays it on another one.
package session

import (
	"database/sql/driver"
	"slices"
	"strings"

	"hotswap/internal/sqltext"
)

// Session is what was set on one connection and is to be replayed on a reopened one, in
// order. It is not safe for concurrent use.
type Session struct {
	settings []Setting
	// CountChanges is set once PRAGMA count_changes has been: a write may return a row.
	CountChanges bool
	// Temp is set once something was created in the temp schema, which is lost when the
	// connection closes.
	Temp bool
	// Attached is set once a schema was attached.
	Attached bool
}

// Setting is a statement to be replayed. It is not changed once a Session has it.
type Setting struct {
	Key   string // a later setting with the same key replaces the earlier one
	What  string // for people; without arguments, except an attached file's path
	Query string
	Args  []driver.NamedValue
	File  string // the attached one; "" for none, or one that the system does not know
	link  string // the absolute name that led to File through a symlink; else ""
}

// Settings returns a copy of the settings.
func (s *Session) Settings() []Setting { return slices.Clone(s.settings) }

// Set adds a setting, with copies of its query and its arguments.
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
	if _, ok := o.Attaches(); ok {
		s.Attached = true
	}
}

// Remove drops the setting of a key.
func (s *Session) Remove(key string) {
	s.settings = slices.DeleteFunc(s.settings, func(o Setting) bool { return o.Key == key })
}

// RemovePragma drops the settings of a pragma for all schemas.
func (s *Session) RemovePragma(name string) {
	s.settings = slices.DeleteFunc(s.settings, func(o Setting) bool {
		_, its, ok := o.sets()
		return ok && its == name
	})
}

// HasPragma reports whether there is a setting of a pragma for any schema.
func (s *Session) HasPragma(name string) bool {
	return slices.ContainsFunc(s.settings, func(o Setting) bool {
		_, its, ok := o.sets()
		return ok && its == name
	})
}

// Has reports whether there is a setting with the key.
func (s *Session) Has(key string) bool {
	return slices.ContainsFunc(s.settings, func(o Setting) bool { return o.Key == key })
}

// Find returns the setting whose key has this suffix.
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

// AttachKey returns the key of the setting that attaches a schema.
func AttachKey(schema string) string { return "attach " + sqltext.Lower(schema) }

// Attaches returns the schema that the setting attaches; false if it is not an ATTACH.
func (o *Setting) Attaches() (schema string, ok bool) { return strings.CutPrefix(o.Key, "attach ") }
