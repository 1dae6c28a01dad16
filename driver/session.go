package driver

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/lognote"
	"hotswap/internal/sqltext"
)

// background is the context of what the driver asks of a connection by itself.
var background = context.Background()

// session is what a connection was told by SQL text and a reopened one must be
// told again, in order.
type session struct {
	settings []setting
	// countChanges is set once PRAGMA count_changes was: a write may return a row.
	countChanges bool
	// temp is set once something was made in the temp schema: it is lost when the
	// connection closes.
	temp bool
}

type setting struct {
	key   string // a later setting of the same key takes the earlier one's place
	what  string // for people; without arguments but an attached file's path
	query string
	args  []driver.NamedValue
	file  string // that is attached; "" for none, or one that the system does not know
	link  string // the name, absolute, that led to file by a symlink; else ""
}

// telling is a statement that may have told its connection something.
type telling struct {
	st   sqltext.Statement
	args []driver.NamedValue
	key  string // of a pragma; "" for an ATTACH or a DETACH
}

// tellings returns those of a text.
func tellings(query string, args []driver.NamedValue) (all []telling) {
	for _, st := range sqltext.Statements(query) {
		key, pragma := pragmaKey(&st)
		if pragma || st.Tokens[0].Is("ATTACH") || st.Tokens[0].Is("DETACH") {
			all = append(all, telling{st, argumentsOf(&st, args), key})
		}
	}
	return all
}

// argumentsOf returns the arguments of one statement of a text, as go-sqlite3 deals
// them out: those in its places, and all that have a name.
func argumentsOf(st *sqltext.Statement, args []driver.NamedValue) (mine []driver.NamedValue) {
	from := min(st.FirstParam, len(args))
	to := min(from+st.Params, len(args))
	mine = slices.Clone(args[from:to])
	for i, arg := range args {
		if arg.Name != "" && (i < from || i >= to) {
			mine = append(mine, arg)
		}
	}
	return mine
}

// pragmaKey returns the key of the setting that the statement makes, if it is a
// pragma that sets something of the connection rather than of the file: replaying
// another, user_version say, would change the new database.
func pragmaKey(st *sqltext.Statement) (string, bool) {
	schema, name, value, ok := st.Pragma()
	if !ok || value == "" || !sqltext.SessionPragma(name) {
		return "", false
	}
	if schema == "" || name == "foreign_keys" { // which is of all schemas
		schema = "main"
	}
	return "pragma " + schema + "." + name, true
}

// ofPragma takes a pragma's key apart.
func ofPragma(key string) (schema, name string) {
	key = strings.TrimPrefix(key, "pragma ")
	i := strings.LastIndexByte(key, '.')
	return key[:i], key[i+1:]
}

func (s *session) set(o setting) {
	s.remove(o.key)
	o.query = strings.Clone(o.query)
	o.args = slices.Clone(o.args)
	for i, arg := range o.args {
		if arg.Name == "" {
			o.args[i].Ordinal = i + 1
		}
		if b, ok := arg.Value.([]byte); ok {
			o.args[i].Value = slices.Clone(b)
		}
	}
	s.settings = append(s.settings, o)
}

func (s *session) remove(key string) {
	s.settings = slices.DeleteFunc(s.settings, func(o setting) bool { return o.key == key })
}

func (s *session) has(key string) bool {
	return slices.ContainsFunc(s.settings, func(o setting) bool { return o.key == key })
}

// keepAttached forgets the attached schemas that are not there.
func (s *session) keepAttached(there []schema) {
	for _, o := range slices.Clone(s.settings) {
		if name, ok := strings.CutPrefix(o.key, "attach "); ok {
			if _, ok := find(there, name); !ok {
				s.forget(name)
			}
		}
	}
}

// forget drops an attached schema and its pragmas.
func (s *session) forget(schema string) {
	schema = sqltext.Lower(schema)
	s.settings = slices.DeleteFunc(s.settings, func(o setting) bool {
		return o.key == attachKey(schema) || strings.HasPrefix(o.key, "pragma "+schema+".")
	})
}

// replay tells a new connection what the closed one was told.
func (c *conn) replay(inner *sqlite3.SQLiteConn) error {
	for _, o := range slices.Clone(c.session.settings) {
		err := o.replay(inner)
		switch {
		case err == nil:
		case errors.Is(err, fs.ErrNotExist) && isManaged(o.file): // the next one is on its way, maybe
			return &refusedError{paths: []string{o.file}, err: o.failed(err)}
		case c.db != nil && c.db.forgives.Load() && forgivable(err):
			schema, isAttach := strings.CutPrefix(o.key, "attach ")
			if c.session.remove(o.key); isAttach {
				c.session.forget(schema)
			}
			c.publish()
			lognote.Send(c.db.warn().Str(fieldQuery, o.what).Err(err), "a reopened connection could not be told again what it was told, and goes on without")
		case !c.session.has(o.key): // forgotten with its schema
		default:
			return o.failed(err)
		}
	}
	return nil
}

func (o *setting) failed(err error) error {
	return fmt.Errorf("hotswap: a reopened connection could not be told again what it was told: %s: %w", o.what, err)
}

// forgivable reports whether err will not pass by itself.
func forgivable(err error) bool {
	var se sqlite3.Error
	return errors.Is(err, fs.ErrNotExist) ||
		errors.As(err, &se) && (se.Code == sqlite3.ErrError || se.Code == sqlite3.ErrCantOpen || se.Code == sqlite3.ErrNotADB || se.Code == sqlite3.ErrCorrupt)
}

func (o setting) replay(inner *sqlite3.SQLiteConn) error {
	if strings.HasSuffix(o.key, ".journal_mode") && isWAL(inner) {
		return nil // on a WAL file it would not be a setting but a conversion
	}
	o.follow()
	if o.file != "" {
		if _, err := os.Stat(o.file); err != nil {
			return err // SQLite would make it, empty
		}
	}
	_, err := inner.ExecContext(background, o.query, o.args)
	return err
}

func isWAL(inner *sqlite3.SQLiteConn) bool {
	mode, err := pragma(inner, "main.journal_mode")
	return err == nil && mode == "wal"
}

// pragma asks for the value of a pragma.
func pragma(inner *sqlite3.SQLiteConn, name string) (string, error) {
	rows, err := inner.Query("PRAGMA "+name, nil)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	v := make([]driver.Value, 1)
	if err := rows.Next(v); err != nil {
		return "", err
	}
	return fmt.Sprint(v[0]), nil
}

// losing lists the schemas of which the connection, that is about to be closed,
// loses what they have: they are in no file. The caller owns c.
func (c *conn) losing() (lost []string) {
	if c.inner == nil {
		return nil
	}
	loses := func(schema string) {
		rows, err := c.inner.Query(fmt.Sprintf(`SELECT 1 FROM "%s".sqlite_master LIMIT 1`, strings.ReplaceAll(schema, `"`, `""`)), nil)
		if err != nil {
			return
		}
		defer rows.Close()
		if rows.Next(make([]driver.Value, 1)) == nil {
			lost = append(lost, schema)
		}
	}
	for _, o := range c.session.settings {
		if name, ok := strings.CutPrefix(o.key, "attach "); ok && o.file == "" {
			loses(name)
		}
	}
	if c.session.temp {
		c.session.temp = false
		loses("temp")
	}
	return lost
}
