package cursor_test

import (
	"database/sql"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	"hotswap/internal/cursor"
)

// TestWhatMayRunAhead asks this SQLite for its programs.
func TestWhatMayRunAhead(t *testing.T) {
	db, err := sql.Open("sqlite3", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(`
		CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b TEXT, c DATETIME DEFAULT CURRENT_TIMESTAMP, j TEXT);
		CREATE INDEX ta ON t (a);
		CREATE TABLE u (id INTEGER PRIMARY KEY, t INT);
		CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
		CREATE TABLE g (id INTEGER PRIMARY KEY, a, late AS (a + 1));
		CREATE VIEW now AS SELECT id, datetime('now') AS at FROM t;
		CREATE TEMP TABLE x (id INTEGER PRIMARY KEY);
		ATTACH ':memory:' AS other;
		CREATE TABLE other.y (id INTEGER PRIMARY KEY)`); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"SELECT * FROM t":                                               true,
		"SELECT a, b FROM t LIMIT 1000":                                 true,
		"SELECT b FROM t WHERE a > ? ORDER BY a":                        true,
		"SELECT b FROM t WHERE id BETWEEN ? AND ? ORDER BY id DESC":     true,
		"SELECT * FROM t ORDER BY b":                                    true,
		"SELECT * FROM t WHERE b LIKE 'x%' ORDER BY c":                  true, // sought before the first row
		"SELECT random() FROM t ORDER BY b":                             true, // called before the first row
		"SELECT upper(b), length(j), coalesce(a, 0) + 1, a || b FROM t": true,
		"SELECT v FROM w WHERE k >= 'a'":                                true,
		"SELECT late FROM g":                                            true,
		"SELECT CASE WHEN a > 1 THEN 'x' ELSE b END FROM t":             true,
		"SELECT id FROM now":                                            true,

		"SELECT * FROM t WHERE b = 'x'":                                                 false, // a search
		"SELECT * FROM t JOIN u ON u.t = t.id":                                          false,
		"SELECT DISTINCT b FROM t":                                                      false,
		"SELECT a, count(*) FROM t GROUP BY a":                                          false,
		"SELECT (SELECT max(id) FROM u WHERE u.t = a) FROM t":                           false,
		"SELECT a FROM t UNION ALL SELECT t FROM u":                                     false,
		"WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM i) SELECT n FROM i": false,
		"SELECT value FROM json_each('[1,2]')":                                          false,
		"SELECT * FROM now":                                                             false, // the clock
		"SELECT CURRENT_TIMESTAMP FROM t":                                               false,
		"SELECT changes() FROM t":                                                       false,
		"SELECT total_changes(), last_insert_rowid() FROM t":                            false,
		"SELECT random() FROM t":                                                        false,
		"SELECT printf('%d', a) FROM t":                                                 false, // not among those that are known
		"SELECT id FROM x":                                                              false, // other databases
		"SELECT id FROM other.y":                                                        false,
		"SELECT t.id FROM t, other.y ORDER BY t.b":                                      false,
		"PRAGMA table_info(t)":                                                          false,
		"UPDATE t SET a = 1 RETURNING id":                                               false,
		"INSERT INTO u SELECT id, a FROM t RETURNING id":                                false,
		"SELECT 1": true,
	} {
		if got := programOf(t, db, text).MayRunAhead(); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if (cursor.Program{}).MayRunAhead() {
		t.Error("nothing may")
	}
}

func programOf(t *testing.T, db *sql.DB, text string) (p cursor.Program) {
	t.Helper()
	var args []any
	for range countParameters(text) {
		args = append(args, nil)
	}
	rows, err := db.Query("EXPLAIN "+text, args...)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	defer rows.Close()
	for rows.Next() {
		var op cursor.Op
		var p4 sql.NullString
		var ignored any
		if err := rows.Scan(&ignored, &op.Name, &op.P1, &op.P2, &ignored, &p4, &ignored, &ignored); err != nil {
			t.Fatal(err)
		}
		op.P4 = p4.String
		p = append(p, op)
	}
	return p
}

func countParameters(text string) (n int) {
	for _, r := range text {
		if r == '?' {
			n++
		}
	}
	return n
}
