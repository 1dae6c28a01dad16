package driver_test

import (
	"fmt"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"
)

const counts = "SELECT (SELECT count(*) FROM main.x), (SELECT count(*) FROM side.x)"

// TestATextMeansWhatItDoesInGoSQLite: that is compiled each time, and so sees what has
// changed since, also what SQLite compiles no kept statement anew for.
func TestATextMeansWhatItDoesInGoSQLite(t *testing.T) {
	for name, run := range map[string]func(m *meaning){
		"main gets a table of the same name as an attached file's": func(m *meaning) {
			m.run("ATTACH '" + m.dir + "/side.db' AS side; CREATE TABLE side.x (v)")
			m.repeat("INSERT INTO x VALUES (1)", "SELECT count(*) FROM x")
			m.run("CREATE TABLE main.x (v)")
			m.repeat("INSERT INTO x VALUES (1)", "SELECT count(*) FROM x")
			m.run(counts)
		},
		"from another connection": func(m *meaning) {
			m.run("CREATE TABLE other (v); ATTACH '" + m.dir + "/side.db' AS side; CREATE TABLE side.x (v)")
			m.repeat("INSERT INTO x VALUES (1)")
			if _, err := m.db.Exec("CREATE TABLE x (v)"); err != nil {
				m.Fatal(err)
			}
			m.run("SELECT count(*) FROM other") // until then it does not know
			m.repeat("INSERT INTO x VALUES (1)")
			m.run(counts)
		},
		"in the first of two attached files": func(m *meaning) {
			m.run("CREATE TABLE y (v); ATTACH '" + m.dir + "/first.db' AS first; ATTACH '" + m.dir + "/side.db' AS side; CREATE TABLE side.x (v)")
			m.repeat("INSERT INTO x SELECT count(*) FROM y")
			m.run("CREATE TABLE first.x (v)")
			m.repeat("INSERT INTO x SELECT count(*) FROM y", "SELECT count(*) FROM side.x")
		},
		"a temporary one": func(m *meaning) {
			m.run("CREATE TABLE x (v)")
			m.repeat("INSERT INTO x VALUES (1)", "SELECT count(*) FROM x")
			m.run("CREATE TEMP TABLE x (v)")
			m.repeat("INSERT INTO x VALUES (1)", "SELECT count(*) FROM x")
			m.run("DROP TABLE temp.x")
			m.repeat("INSERT INTO x VALUES (1)", "SELECT count(*) FROM x")
		},
		"attached through Raw": attachThroughRaw,
		"attached through Raw, with statements asked to be kept": attachThroughRaw,
		"a table that was dropped, while somebody else writes":   func(m *meaning) { m.drop("DROP TABLE x") },
		"in one of several statements":                           func(m *meaning) { m.drop("SELECT 1; DROP TABLE x") },
		"and prepared": func(m *meaning) {
			m.run("CREATE TABLE x (v)", "CREATE TABLE y (v)")
			m.repeat("INSERT INTO x VALUES (1)", "SELECT v FROM x")
			drop, err := m.conn.PrepareContext(m.Context(), "DROP TABLE x")
			if err != nil {
				m.Fatal(err)
			}
			if _, err := drop.Exec(); err != nil {
				m.Fatal(err)
			}
			drop.Close()
			m.locked("INSERT INTO x VALUES (1)", "SELECT v FROM x")
		},
		"in a transaction of another connection": func(m *meaning) {
			m.run("CREATE TABLE x (v)", "CREATE TABLE y (v)")
			tx, err := m.db.Begin()
			if err != nil {
				m.Fatal(err)
			}
			mustExec(m.T, tx, "DROP TABLE x")
			m.repeat("SELECT v FROM x")
			if err := tx.Commit(); err != nil {
				m.Fatal(err)
			}
			m.run("SELECT count(*) FROM y")
			m.locked("SELECT v FROM x")
		},
		"by another connection": func(m *meaning) {
			m.run("CREATE TABLE x (v)", "CREATE TABLE y (v)")
			m.repeat("INSERT INTO x VALUES (1)", "SELECT v FROM x")
			if _, err := m.db.Exec("DROP TABLE x"); err != nil {
				m.Fatal(err)
			}
			m.run("SELECT count(*) FROM y") // until then it does not know
			m.locked("INSERT INTO x VALUES (1)", "SELECT v FROM x")
		},
		"a pragma under EXPLAIN, which acts while it is compiled": func(m *meaning) {
			m.run("CREATE TABLE x (v)", "INSERT INTO x VALUES (1), (2)")
			m.repeat("SELECT v FROM x")
			m.run("EXPLAIN PRAGMA reverse_unordered_selects = 1")
			m.repeat("SELECT v FROM x")
		},
		"a pragma with something after it, which is refused once it has acted": func(m *meaning) {
			m.run("CREATE TABLE x (v)", "INSERT INTO x VALUES (1), (2)")
			m.repeat("SELECT v FROM x")
			_, err := m.conn.PrepareContext(m.Context(), "PRAGMA reverse_unordered_selects = 1 x")
			m.said = append(m.said, fmt.Sprint(err))
			m.repeat("SELECT v FROM x")
		},
		"an authorizer of the hook that thinks otherwise": func(m *meaning) {
			m.run("CREATE TABLE secret (v)")
			m.repeat("SELECT count(v) FROM secret")
			m.denies = true
			m.repeat("SELECT count(v) FROM secret")
			m.denies = false
			m.repeat("SELECT count(v) FROM secret")
			m.begin()
			m.denies = true
			m.begin()
		},
		"an authorizer through Raw": func(m *meaning) {
			m.run("CREATE TABLE x (v)")
			m.repeat("SELECT count(v) FROM x")
			denies := false
			m.raw(func(c *sqlite3.SQLiteConn) error {
				c.RegisterAuthorizer(func(int, string, string, string) int {
					if denies {
						return sqlite3.SQLITE_DENY
					}
					return sqlite3.SQLITE_OK
				})
				return nil
			})
			m.repeat("SELECT count(v) FROM x")
			denies = true
			m.repeat("SELECT count(v) FROM x")
		},
		"a function through Raw that fits better": func(m *meaning) {
			register := func(f any) {
				m.raw(func(c *sqlite3.SQLiteConn) error { return c.RegisterFunc("f", f, true) })
			}
			register(func(all ...int64) string { return "any" })
			m.repeat("SELECT f(1)")
			register(func(int64) string { return "one" })
			m.repeat("SELECT f(1)")
		},
		"a limit through Raw": func(m *meaning) {
			m.repeat("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3")
			m.raw(func(c *sqlite3.SQLiteConn) error {
				c.SetLimit(sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 2)
				return nil
			})
			m.repeat("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3")
		},
	} {
		t.Run(name, func(t *testing.T) {
			said := map[bool][]string{}
			for _, ours := range []bool{false, true} {
				m := newMeaning(t, ours)
				run(m)
				said[ours] = m.said
			}
			for i, want := range said[false] {
				if got := said[true][i]; got != want {
					t.Fatalf("call %d: %s\ngo-sqlite3: %s", i, got, want)
				}
			}
		})
	}
}
