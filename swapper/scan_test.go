package swapper

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/driver"
	"hotswap/internal/inside"
)

// TestTheScanDecidesOfAnOrdinaryDatabase: what it leaves to SQLite's check costs many
// times as much, and would come to the same; so nothing else tells.
func TestTheScanDecidesOfAnOrdinaryDatabase(t *testing.T) {
	t.Parallel()
	manyPartial := func(n int) string {
		var b strings.Builder
		b.WriteString("BEGIN;")
		for i := range n {
			fmt.Fprintf(&b, "CREATE TABLE p%d (v); CREATE INDEX p%d_v ON p%d (v) WHERE v > 5;", i, i, i)
		}
		return b.String() + "COMMIT"
	}
	for name, of := range map[string]struct {
		statements []string
		decides    bool
	}{
		"ordinary":                            {nil, true},
		"a partial index":                     {[]string{"CREATE TABLE p (v)", "CREATE INDEX p_v ON p (v) WHERE v > 5"}, true},
		"many partial indexes":                {[]string{manyPartial(400)}, false}, // for each, SQLite would go through the schema
		"nothing to scan":                     {[]string{"DROP INDEX i"}, false},
		"UTF-16":                              {[]string{"PRAGMA encoding='UTF-16'"}, false},
		"rows older than a column":            {[]string{"ALTER TABLE t ADD COLUMN w", "CREATE INDEX j ON t (w, v)"}, true},
		"a table without rowid":               {[]string{"CREATE TABLE r (a, b, PRIMARY KEY (a)) WITHOUT ROWID"}, true}, // by SQLite's check of that one
		"the INTEGER PRIMARY KEY in an index": {[]string{"CREATE INDEX j ON t (v, id)"}, true},
		"a page that is in no tree":           {[]string{"CREATE TABLE kept (v)", "PRAGMA writable_schema=ON", "DELETE FROM sqlite_schema WHERE name = 'kept'"}, false},
		"a row missing from an index": {[]string{"PRAGMA writable_schema=ON",
			"CREATE TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'i'", "DELETE FROM sqlite_schema WHERE name = 'i'", "PRAGMA writable_schema=RESET",
			"INSERT INTO t (v) VALUES ('missing')",
			"PRAGMA writable_schema=ON", "INSERT INTO sqlite_schema SELECT * FROM kept", "PRAGMA writable_schema=RESET", "DROP TABLE kept"}, false},
	} {
		path := filepath.Join(t.TempDir(), "x.sqlite3")
		db, err := sql.Open("sqlite3", "file:"+path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		db.SetMaxOpenConns(1)
		exec := func(text string) {
			t.Helper()
			if _, err := db.Exec(text); err != nil {
				t.Fatalf("%s: %s: %v", name, text, err)
			}
		}
		if name == "UTF-16" {
			exec(of.statements[0])
		}
		exec("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
		exec("CREATE INDEX i ON t (v)")
		for i := range 100 {
			exec(fmt.Sprintf("INSERT INTO t (v) VALUES ('%d')", i))
		}
		for _, text := range of.statements {
			exec(text)
		}
		db.Close()
		d, release, err := driver.Manage(path)
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		pool := inside.Of(d).OpenFile(path, false, "mode=rw", "nolock=1", "_query_only=1")
		defer pool.Close()
		for _, sideBySide := range []bool{false, true} {
			c := &checkup{pool: pool, file: file, verdict: &verdict{}, pragma: "integrity_check", sideBySide: sideBySide}
			if sound, err := c.scan(context.Background()); err != nil || sound != of.decides {
				t.Errorf("%s, side by side %v: decided %v, %v", name, sideBySide, sound, err)
			}
			if c.verdict.messages > 0 {
				t.Errorf("%s, side by side %v: the scan left %d messages", name, sideBySide, c.verdict.messages)
			}
		}
	}
}
