package sqltext_test

import (
	"slices"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/sqltext"
)

const (
	writes   = sqltext.Writes
	begins   = sqltext.Begins
	commits  = sqltext.Commits
	rollback = sqltext.RollsBack
	save     = sqltext.Savepoint
	sets     = sqltext.Sets
	attaches = sqltext.Attaches
	selects  = sqltext.Selects
	changes  = sqltext.Changes | writes
	returns  = sqltext.Returns
	alters   = sqltext.Alters | writes
	temp     = sqltext.MakesTemp | alters
)

// texts are single statements.
var texts = map[string]sqltext.Does{
	"SELECT 1":                              selects,
	" \uFEFF/* x */ select ';' -- ; INSERT": selects,
	"VALUES (1)":                            selects,
	"WITH a AS (SELECT 1) SELECT * FROM a":  selects,
	"WITH replace(x) AS (VALUES (1)), [select] AS MATERIALIZED (SELECT (1)) SELECT * FROM replace": selects,
	"WITH RECURSIVE a AS (SELECT 1) INSERT INTO t SELECT * FROM a":                                 changes,
	"WITH a AS (SELECT 1) UPDATE t SET x = 1":                                                      changes,
	"WITH a AS (SELECT 1) DELETE FROM t":                                                           changes,
	"WITH a AS (SELECT 1), b(c) AS (SELECT 2) REPLACE INTO t SELECT * FROM a RETURNING x":          changes | returns,
	"INSERT INTO t VALUES ('RETURNING')":                                                           changes,
	"INSERT INTO t VALUES (1) returning x":                                                         changes | returns,
	"UPDATE t SET x = 1 -- RETURNING":                                                              changes,
	"DELETE FROM t":                                                                                changes,
	"REPLACE INTO t VALUES (1)":                                                                    changes,
	"INSERT INTO t WITH a AS (SELECT 1) SELECT * FROM a":                                           changes,
	"CREATE TABLE u (x)":                                                                           alters,
	"CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET x = CASE x WHEN 1 THEN 2 END; DELETE FROM t; END": alters,
	"CREATE TEMP TRIGGER IF NOT EXISTS r AFTER INSERT ON t BEGIN SELECT 1; /* END; */ SELECT 2; END":         temp,
	"EXPLAIN CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END":                                         0,
	"CREATE TEMPORARY TABLE a (x)":                              temp,
	"CREATE VIRTUAL TABLE IF NOT EXISTS [Temp].v USING fts5(x)": temp,
	"CREATE UNIQUE INDEX temp.i ON b (x)":                       temp,
	"CREATE TABLE main.temp (x)":                                alters,
	"EXPLAIN INSERT INTO t VALUES (1)":                          0,
	"EXPLAIN QUERY PLAN SELECT 1":                               0,
	"EXPLAIN PRAGMA foreign_keys = 1":                           sets,
	"BEGIN":                                                     begins,
	"begin immediate":                                           begins,
	"SAVEPOINT s":                                               begins | save,
	"RELEASE s":                                                 save,
	"COMMIT":                                                    commits,
	"END TRANSACTION":                                           commits,
	"ROLLBACK":                                                  rollback,
	"ROLLBACK TRANSACTION TO SAVEPOINT s":                       save,
	"ROLLBACK TO s":                                             save,
	"PRAGMA foreign_keys":                                       0,
	"PRAGMA foreign_keys = 1":                                   sets,
	"\uFEFFPRAGMA foreign_keys(on)":                             sets,
	"PRAGMA main . [cache_size] = 5":                            sets,
	"PRAGMA journal_mode = WAL":                                 sets | writes,
	"PRAGMA user_version = 5":                                   sets | writes,
	"PRAGMA user_version":                                       0,
	"PRAGMA table_info(t)":                                      0,
	"PRAGMA wal_checkpoint(TRUNCATE)":                           sets | writes,
	"PRAGMA optimize":                                           writes,
	"ATTACH 'x' AS y":                                           attaches,
	"DETACH y":                                                  attaches,
	"VACUUM":                                                    alters,
	"ANALYZE":                                                   alters,
	"REINDEX":                                                   alters,
	"ALTER TABLE t ADD y":                                       alters,
	"DROP TABLE t":                                              alters,
}

func TestATextIsToldWhatItMayDo(t *testing.T) {
	for text, want := range texts {
		got := sqltext.Classify(text)
		if got.First != want || got.All != want || got.Several || got.Tail {
			t.Errorf("%q: %+v, not %b", text, got, want)
		}
		if again := sqltext.Classify(text + "\n; \n"); again != got {
			t.Errorf("%q: with a semicolon %+v, not %+v", text, again, got)
		}
		again := sqltext.Classify(";" + text + "\n;;")
		if again.Tail = false; again != got {
			t.Errorf("%q: between semicolons %+v, not %+v", text, again, got)
		}
		if n := len(sqltext.Statements(text + ";")); n != 1 {
			t.Errorf("%q: %d statements", text, n)
		}
		two := sqltext.Classify(text + "\n; SELECT 1")
		if !two.Several || two.First != want || two.All != want|selects {
			t.Errorf("%q: with another %+v", text, two)
		}
		if !sqltext.MayChangeSession(text) && got.All&sqltext.Session != 0 {
			t.Errorf("%q: the cheap test says no", text)
		}
	}
	for _, text := range []string{"SELECT 1;;", "SELECT 1; -- x", ";SELECT 1", "SELECT 1; SELECT 2", "SELECT 1;\x00"} {
		if class := sqltext.Classify(text); !class.Tail || class.Repeats() {
			t.Errorf("%q: nothing behind the first semicolon?", text)
		}
	}
	for text, want := range map[string]sqltext.Class{
		"":        {},
		" ; -- x": {Tail: true},
		"BEGIN; INSERT INTO t VALUES (1); COMMIT": {First: begins, All: begins | changes | commits, Several: true, Tail: true},
		"SELECT 1;\x00BEGIN":                      {First: selects, All: selects, Tail: true},
		"EXPLAIN EXPLAIN; BEGIN":                  {First: 0, All: begins, Several: true, Tail: true},
		"CREATE TABLE t (x); CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END; PRAGMA foreign_keys=1": {First: alters, All: alters | sets, Several: true, Tail: true},
	} {
		if got := sqltext.Classify(text); got != want {
			t.Errorf("%q: %+v, not %+v", text, got, want)
		}
	}
}

// TestSQLiteSaysTheSame about what compiles: how many parameters it takes, and whether
// it may write.
func TestSQLiteSaysTheSame(t *testing.T) {
	c, err := (&sqlite3.SQLiteDriver{}).Open(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.(*sqlite3.SQLiteConn).Exec("CREATE TABLE t (x); CREATE TEMP TABLE b (x)", nil); err != nil {
		t.Fatal(err)
	}
	params := []string{
		"SELECT ?, ?", "SELECT ?3, ?", "SELECT :a, @a, $a, :a, ?", "SELECT ?2, :b, ?1", "SELECT $a::b(c), '?', x'00', 1 AS [?] -- ?", "SELECT :A, :a",
		"SELECT 1->>'?', 1||?",
	}
	for text := range texts {
		params = append(params, text)
	}
	for _, text := range params {
		st, err := c.Prepare(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if n := sqltext.Statements(text)[0].Params; n != st.NumInput() {
			t.Errorf("%q takes %d parameters, we say %d", text, st.NumInput(), n)
		}
		class := sqltext.Classify(text)
		explain := sqltext.Tokens(text)[0].Is("EXPLAIN") // which SQLite treats as what it explains
		if !explain && !st.(*sqlite3.SQLiteStmt).Readonly() && class.First&^selects == 0 {
			t.Errorf("%q may write, we say that it reads", text)
		}
		st.Close()
	}
}

func TestParametersHaveTheNumbersThatSQLiteGivesThem(t *testing.T) {
	all := sqltext.Statements("ATTACH ? AS ?; SELECT ?5, ?, :a, ?, :a; ATTACH :f AS :s")
	var got [][]int
	var first []int
	for _, st := range all {
		var numbers []int
		for _, token := range st.Tokens {
			if token.Kind == sqltext.Param {
				numbers = append(numbers, st.Number(token))
			}
		}
		got = append(got, numbers)
		first = append(first, st.FirstParam)
	}
	want := [][]int{{1, 2}, {5, 6, 7, 8, 7}, {1, 2}}
	if !slices.EqualFunc(got, want, slices.Equal[[]int]) || !slices.Equal(first, []int{0, 2, 10}) {
		t.Errorf("numbers %v, first ones %v", got, first)
	}
}

func TestAPragmaIsTakenApart(t *testing.T) {
	for text, want := range map[string][3]string{
		"PRAGMA cache_size":                                {"", "cache_size", ""},
		"\uFEFFPRAGMA Foreign_Keys = ON":                   {"", "foreign_keys", "ON"},
		"PRAGMA [A b] . cache_size(-5)":                    {"a b", "cache_size", "-5"},
		"explain query plan pragma 'x'.\"mmap_size\"='77'": {"x", "mmap_size", "77"},
	} {
		schema, name, value, ok := sqltext.Statements(text)[0].Pragma()
		if got := [3]string{schema, name, value}; got != want || !ok {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestAClassCostsNoAllocation(t *testing.T) {
	const text = "WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a WHERE x = ? AND y = 'z' RETURNING x; COMMIT"
	if n := testing.AllocsPerRun(100, func() { sqltext.Classify(text) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkClassify(b *testing.B) {
	const text = "INSERT INTO events (at, kind, payload) VALUES (?, ?, ?)"
	for b.Loop() {
		sqltext.Classify(text)
	}
	b.SetBytes(int64(len(text)))
}
