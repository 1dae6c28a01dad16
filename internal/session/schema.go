package session

import (
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/sqltext"
)

// Schema is a database attached to a connection.
type Schema struct {
	Name string
	File string // absolute; "" if it has no named file
}

// Schemas lists what is attached to a connection, however it was attached.
func Schemas(inner *sqlite3.SQLiteConn) (all []Schema) {
	rows, err := inner.Query("PRAGMA database_list", nil)
	if err != nil {
		return nil
	}
	defer rows.Close()
	for row := make([]driver.Value, 3); rows.Next(row) == nil; {
		name, _ := row[1].(string)
		file, _ := row[2].(string)
		if name != "main" && name != "temp" {
			all = append(all, Schema{name, file})
		}
	}
	return all
}

// Find returns the schema with this name.
func Find(all []Schema, name string) (Schema, bool) {
	i := slices.IndexFunc(all, func(s Schema) bool { return sqltext.Lower(s.Name) == sqltext.Lower(name) })
	if i < 0 {
		return Schema{}, false
	}
	return all[i], true
}

// Quote returns a schema's name as a quoted SQL identifier.
func Quote(schema string) string { return `"` + strings.ReplaceAll(schema, `"`, `""`) + `"` }

// Pragma returns the value of a pragma; ok is false if it has none.
func Pragma(inner *sqlite3.SQLiteConn, name string) (value driver.Value, ok bool) {
	return first(inner, "PRAGMA "+name)
}

// CaseSensitiveLike returns the value of the pragma of that name, which can be set but not
// asked for: what it does to LIKE.
func CaseSensitiveLike(inner *sqlite3.SQLiteConn) (value driver.Value, ok bool) {
	return first(inner, "SELECT NOT 'a' LIKE 'A'")
}

// first returns the one column of a query's first row.
func first(inner *sqlite3.SQLiteConn, query string) (value driver.Value, ok bool) {
	rows, err := inner.Query(query, nil)
	if err != nil {
		return nil, false
	}
	defer rows.Close()
	row := make([]driver.Value, 1)
	if rows.Next(row) != nil {
		return nil, false
	}
	return row[0], true
}

// Losing lists the schemas whose content is lost when the connection, which is about to
// be closed, closes: they are in no file.
func (s *Session) Losing(inner *sqlite3.SQLiteConn) (lost []string) {
	loses := func(schema string) {
		rows, err := inner.Query(fmt.Sprintf("SELECT 1 FROM %s.sqlite_master LIMIT 1", Quote(schema)), nil)
		if err != nil {
			return
		}
		defer rows.Close()
		if rows.Next(make([]driver.Value, 1)) == nil {
			lost = append(lost, schema)
		}
	}
	for _, o := range s.settings {
		if name, ok := o.Attaches(); ok && o.File == "" {
			loses(name)
		}
	}
	if s.Temp {
		s.Temp = false
		loses("temp")
	}
	return lost
}
