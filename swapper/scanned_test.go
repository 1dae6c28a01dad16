package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/swapper"
)

// TestWhatAScanDoesNotSeeIsRefused: indexes that a scan of them takes to be as their
// tables are, and in which SQLite does not find what it looks for.
func TestWhatAScanDoesNotSeeIsRefused(t *testing.T) {
	t.Parallel()
	collation := func(name string) func(*sqlite3.SQLiteConn) error {
		return func(c *sqlite3.SQLiteConn) error {
			return c.RegisterCollation(name, func(a, b string) int { return strings.Compare(b, a) })
		}
	}
	rows := "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM g WHERE n < 300) INSERT INTO t SELECT n, 'k'||n, n%7 FROM g"
	text := func(to string) string {
		return "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = '" + to + "' WHERE name = 'i'"
	}
	for name, of := range map[string]struct {
		hook       func(*sqlite3.SQLiteConn) error
		statements []string
		from, to   string // bytes
	}{
		"a NOCASE of the program's own": {hook: collation("NOCASE"),
			statements: []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE, b)", "CREATE INDEX i ON t (a)", rows}},
		"an RTRIM of the program's own": {hook: collation("RTRIM"),
			statements: []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b)", "CREATE INDEX i ON t (a COLLATE RTRIM)", rows}},
		"a BINARY of the program's own": {hook: collation("BINARY"),
			statements: []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT COLLATE /* */ binary, b)", "CREATE INDEX i ON t (a)", rows}},
		"an authorizer that hides a column": {hook: func(c *sqlite3.SQLiteConn) error {
			c.RegisterAuthorizer(func(op int, table, column, _ string) int {
				if op == sqlite3.SQLITE_READ && table == "t" && column == "a" {
					return sqlite3.SQLITE_IGNORE
				}
				return sqlite3.SQLITE_OK
			})
			return nil
		}, statements: []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b)", "CREATE INDEX i ON t (b, a)", "INSERT INTO t VALUES (100, 'needle', 7), (110, 'x', 1)"},
			from: "\x04\x01\x19\x01\x07needle\x64", to: "\x04\x01\x19\x01\x07noodle\x64"},
		"a column less": {statements: []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b)", "CREATE INDEX i ON t (a, b)", rows, text("CREATE INDEX i ON t (a)")}},
		"a column more": {statements: []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b DEFAULT 5)", "CREATE INDEX i ON t (a)",
			"INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2), (3, 'z', 3)", text("CREATE INDEX i ON t (a, b)")}},
		"a default of rows that are older": {statements: []string{"CREATE TABLE t (a)", "INSERT INTO t VALUES (1), (2), (3)", "ALTER TABLE t ADD COLUMN b", "CREATE INDEX i ON t (b)",
			"PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a, b DEFAULT 5)' WHERE name = 't'"}},
		"the INTEGER PRIMARY KEY in front": {statements: []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)", "CREATE INDEX i ON t (id, a)", "INSERT INTO t VALUES (100, 'needle'), (110, 'x')"},
			from: "\x04\x01\x19\x01\x64needle\x64", to: "\x04\x01\x19\x01\x65needle\x64"},
		"the INTEGER PRIMARY KEY behind": {statements: []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)", "CREATE INDEX i ON t (a, id)", "INSERT INTO t VALUES (100, 'needle'), (110, 'x')"},
			from: "\x04\x19\x01\x01needle\x64\x64", to: "\x04\x19\x01\x01needle\x65\x64"},
		"a NULL of a reserved type": {statements: []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)", "CREATE INDEX i ON t (b, a)", "INSERT INTO t VALUES (100, 'needle', NULL), (110, 'x', 1)"},
			from: "\x04\x00\x19\x01needle\x64", to: "\x04\x0b\x19\x01needle\x64"},
		"a rowid that overlaps a value": {statements: []string{"CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)", "CREATE INDEX i ON t (a)", "INSERT INTO t VALUES (100, 2.5, 0), (110, 2.5, 0)"},
			from: "\x03\x07\x01\x40\x04\x00\x00\x00\x00\x00\x00\x64", to: "\x03\x07\x03\x40\x04\x00\x00\x00\x00\x00\x00\x64"},
		"a REAL that is another integer": {statements: []string{"CREATE TABLE t (a REAL)", "CREATE INDEX i ON t (a)", "INSERT INTO t VALUES (1152921504606846976.0)"},
			from: "\x02\x07\x43\xb0\x00\x00\x00\x00\x00\x00", to: "\x02\x06\x10\x00\x00\x00\x00\x00\x00\x01"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "source.sqlite3")
			source, err := sql.Open("sqlite3", "file:"+path)
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			source.SetMaxOpenConns(1)
			for _, text := range of.statements {
				if _, err := source.Exec(text); err != nil {
					t.Fatalf("%s: %v", text, err)
				}
			}
			source.Close()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if of.from != "" {
				if n := bytes.Count(data, []byte(of.from)); n != 1 {
					t.Fatalf("%d records to damage", n)
				}
				data = bytes.Replace(data, []byte(of.from), []byte(of.to), 1)
			}
			live := filepath.Join(dir, "live.sqlite3")
			var hooks []driver.Option
			if of.hook != nil {
				hooks = append(hooks, driver.WithConnectHook(of.hook))
			}
			registered := "hotswap-scanned " + name
			sql.Register(registered, driver.New(hooks...))
			db, err := sql.Open(registered, "file:"+live)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec("PRAGMA user_version=1"); err != nil {
				t.Fatal(err)
			}
			d, ok := driver.Lookup(live)
			if !ok {
				t.Fatal("not managed")
			}
			_, err = swapper.Push(context.Background(), d, bytes.NewReader(data), swapper.PushOptions{DryRun: true})
			if !errors.Is(err, swapper.ErrBadDatabase) {
				t.Errorf("accepted: %v", err)
			}
		})
	}
}
