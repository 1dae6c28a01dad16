package driver

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/sqltext"
)

// session is what a connection was told by SQL text and a reopened one must be
// told again, in order.
type session struct {
	settings []setting
	// countChanges is set once PRAGMA count_changes was: a write may return a row.
	countChanges bool
}

type setting struct {
	key   string // a later setting of the same key takes the earlier one's place
	query string
	args  []driver.NamedValue
}

// done is what a text may have done that its words do not tell.
type done struct {
	attach bool     // or detach
	maybe  []string // the keys of pragmas that do nothing within a transaction
}

// record notes the settings that query, which has succeeded, made.
func (s *session) record(query string, args []driver.NamedValue) (did done) {
	if sqltext.Classify(query).All&(sqltext.Sets|sqltext.Attaches) == 0 {
		return did
	}
	for _, st := range sqltext.Statements(query) {
		mine := args
		if st.Params < len(args) && len(args) > 0 && args[0].Name == "" {
			mine = args[min(st.FirstParam, len(args)):min(st.FirstParam+st.Params, len(args))]
		}
		first, last := st.Tokens[0], st.Tokens[len(st.Tokens)-1]
		if key, ok := pragmaKey(&st); ok {
			switch {
			case strings.HasSuffix(key, ".foreign_keys"):
				did.maybe = append(did.maybe, "pragma main.foreign_keys") // whatever the schema
			case strings.HasSuffix(key, ".journal_mode") || first.Is("EXPLAIN"):
				did.maybe = append(did.maybe, key)
			default:
				s.countChanges = s.countChanges || strings.HasSuffix(key, ".count_changes")
				s.set(key, st.Text, mine)
			}
		}
		switch {
		case first.Is("ATTACH"):
			s.set("attach "+last.Name(), st.Text, mine)
			did.attach = true
		case first.Is("DETACH"):
			s.forget(last.Name())
			did.attach = true
		}
	}
	return did
}

// pragmaKey returns the key of the setting that the statement makes, if it is a
// pragma that sets something of the connection rather than of the file: replaying
// another, user_version say, would change the new database.
func pragmaKey(st *sqltext.Statement) (string, bool) {
	schema, name, value, ok := st.Pragma()
	if !ok || value == "" || !sqltext.SessionPragma(name) {
		return "", false
	}
	if schema == "" {
		schema = "main"
	}
	return "pragma " + schema + "." + name, true
}

func (s *session) set(key, query string, args []driver.NamedValue) {
	s.remove(key)
	named := slices.Clone(args)
	for i := range named {
		if named[i].Name == "" {
			named[i].Ordinal = i + 1
		}
		if b, ok := named[i].Value.([]byte); ok {
			named[i].Value = slices.Clone(b)
		}
	}
	s.settings = append(s.settings, setting{key, strings.Clone(query), named})
}

func (s *session) remove(key string) {
	s.settings = slices.DeleteFunc(s.settings, func(o setting) bool { return o.key == key })
}

func (s *session) has(key string) bool {
	return slices.ContainsFunc(s.settings, func(o setting) bool { return o.key == key })
}

// keepAttached forgets the attached schemas that are not there.
func (s *session) keepAttached(there []string) {
	for _, o := range slices.Clone(s.settings) {
		if schema, ok := strings.CutPrefix(o.key, "attach "); ok && !slices.Contains(there, schema) {
			s.forget(schema)
		}
	}
}

// forget drops an attached schema and its pragmas.
func (s *session) forget(schema string) {
	s.settings = slices.DeleteFunc(s.settings, func(o setting) bool {
		return o.key == "attach "+schema || strings.HasPrefix(o.key, "pragma "+schema+".")
	})
}

// replay tells a new connection what the closed one was told.
func (s *session) replay(inner *sqlite3.SQLiteConn) error {
	for _, o := range s.settings {
		if strings.HasSuffix(o.key, ".journal_mode") && isWAL(inner) {
			continue // on a WAL file it would not be a setting but a conversion
		}
		if _, err := inner.ExecContext(context.Background(), o.query, o.args); err != nil {
			return fmt.Errorf("hotswap: replay of %q on a reopened connection: %w", o.query, err)
		}
	}
	return nil
}

func isWAL(inner *sqlite3.SQLiteConn) bool {
	rows, err := inner.Query("PRAGMA journal_mode", nil)
	if err != nil {
		return false
	}
	defer rows.Close()
	v := make([]driver.Value, 1)
	return rows.Next(v) == nil && v[0] == "wal"
}
