package driver

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"
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

// sessionPragmas are the pragmas that set something of the connection rather
// than of the file: replaying another, user_version say, would change the new
// database (https://www.sqlite.org/pragma.html).
var sessionPragmas = []string{
	"analysis_limit", "automatic_index", "busy_timeout", "cache_size", "cache_spill",
	"case_sensitive_like", "cell_size_check", "checkpoint_fullfsync", "count_changes",
	"empty_result_callbacks", "foreign_keys", "full_column_names", "fullfsync",
	"ignore_check_constraints", "journal_mode", "journal_size_limit", "legacy_alter_table",
	"locking_mode", "max_page_count", "mmap_size", "query_only", "read_uncommitted",
	"recursive_triggers", "reverse_unordered_selects", "secure_delete", "short_column_names",
	"synchronous", "temp_store", "threads", "trusted_schema", "wal_autocheckpoint",
	"writable_schema",
}

// mayChangeSession is the cheap test before recordSession: false is certain.
func mayChangeSession(query string) bool {
	for i := 0; i < len(query); i++ {
		switch b := query[i]; b {
		case ' ', '\t', '\r', '\n', '\f':
			continue
		case 'p', 'P', 'b', 'B', '-', '/', ';':
			return true
		case 'c', 'C', 'e', 'E', 'r', 'R', 's', 'S':
			// COMMIT, END, ROLLBACK, RELEASE, SAVEPOINT; not CREATE, EXPLAIN, REPLACE, SELECT.
			for _, word := range []string{"co", "en", "ro", "rel", "sa"} {
				if rest := query[i:]; len(rest) >= len(word) && strings.EqualFold(rest[:len(word)], word) {
					return true
				}
			}
			return severalStatements(query[i:])
		case 'a', 'A', 'd', 'D':
			// ATTACH, DETACH; not ALTER, DELETE, DROP.
			rest := query[i+1:]
			if b|0x20 == 'd' {
				if len(rest) == 0 || rest[0]|0x20 != 'e' {
					return severalStatements(rest)
				}
				rest = rest[1:]
			}
			return len(rest) > 0 && rest[0]|0x20 == 't' || severalStatements(rest)
		default:
			return severalStatements(query[i:])
		}
	}
	return false
}

func severalStatements(query string) bool {
	i := strings.IndexByte(query, ';')
	return i >= 0 && i < len(query)-1
}

// done is what a text may have done that its words do not tell.
type done struct {
	attach bool     // or detach
	maybe  []string // the keys of pragmas that do nothing within a transaction
}

// record notes the settings that query, which has succeeded, made.
func (s *session) record(query string, args []driver.NamedValue) (did done) {
	for _, st := range splitStatements(query) {
		mine := args
		if st.params < len(args) && len(args) > 0 && args[0].Name == "" {
			mine = args[min(st.firstParam, len(args)):min(st.firstParam+st.params, len(args))]
		}
		words := st.words
		if len(words) == 0 {
			continue
		}
		switch strings.ToUpper(words[0]) {
		case "PRAGMA":
			schema, name, ok := sessionPragma(words[1:])
			key := "pragma " + schema + "." + name
			switch {
			case !ok:
			case name == "foreign_keys":
				did.maybe = append(did.maybe, "pragma main.foreign_keys") // whatever the schema
			case name == "journal_mode":
				did.maybe = append(did.maybe, key)
			default:
				s.countChanges = s.countChanges || name == "count_changes"
				s.set(key, st.text, mine)
			}
		case "ATTACH":
			s.set("attach "+unquote(words[len(words)-1]), st.text, mine)
			did.attach = true
		case "DETACH":
			s.forget(unquote(words[len(words)-1]))
			did.attach = true
		}
	}
	return did
}

// sessionPragma takes [schema.]name = value or [schema.]name(value) apart, if it
// sets something of the session.
func sessionPragma(words []string) (schema, name string, ok bool) {
	schema = "main"
	if len(words) > 2 && words[1] == "." {
		schema, words = unquote(words[0]), words[2:]
	}
	if len(words) < 3 || words[1] != "=" && words[1] != "(" {
		return "", "", false
	}
	name = unquote(words[0])
	return schema, name, slices.Contains(sessionPragmas, name)
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
