package swapper_test

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/swapper"
)

// made returns the bytes of the fixture's database after some more statements.
func made(t testing.TB, statements ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "made.sqlite3")
	makeDatabase(t, path, "new", 300)
	db, err := sql.Open("sqlite3", "file:"+path+"?_sync=OFF")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, q := range statements {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	db.Close()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

const freePages = "DELETE FROM items WHERE id > 100"

func TestADamagedFreelistIsSeenWhateverTheSchemaEndsWith(t *testing.T) {
	t.Parallel()
	last := map[string][]string{
		"tables":           {},
		"a virtual table":  {"CREATE VIRTUAL TABLE words USING fts4(text)"},
		"a trigger":        {"CREATE VIEW v AS SELECT * FROM items", "CREATE TRIGGER tr INSTEAD OF INSERT ON v BEGIN SELECT 1; END"},
		"a view of naught": {"CREATE VIEW v AS SELECT * FROM no_such_table"},
	}
	trunk := func(data []byte) []byte { // the first page of the freelist
		pageSize := int(binary.BigEndian.Uint16(data[16:]))
		return data[(int(binary.BigEndian.Uint32(data[32:]))-1)*pageSize:][:pageSize]
	}
	damage := map[string]func(data []byte){
		"the count":       func(data []byte) { data[39]++ },
		"no list":         func(data []byte) { copy(data[32:40], make([]byte, 8)) },
		"a page in use":   func(data []byte) { binary.BigEndian.PutUint32(trunk(data)[8:], 2) },
		"a page too far":  func(data []byte) { binary.BigEndian.PutUint32(trunk(data)[8:], 1<<20) },
		"the list's next": func(data []byte) { binary.BigEndian.PutUint32(trunk(data), 2) },
	}
	s := start(t, t.TempDir(), "")
	for end, statements := range last {
		for _, vacuum := range []string{"NONE", "INCREMENTAL"} {
			sound := made(t, append(statements, freePages, "PRAGMA auto_vacuum="+vacuum, "VACUUM", "DELETE FROM items WHERE id > 50")...)
			opts := swapper.PushOptions{SkipSchemaCheck: true, DryRun: true}
			for _, version := range []byte{1, 2} {
				sound[18], sound[19] = version, version
				if _, err := s.push(sound, opts); err != nil {
					t.Fatalf("sound, with %s at the end: %v", end, err)
				}
			}
			for what, harm := range damage {
				for _, opts.Quick = range []bool{false, true} {
					data := append([]byte(nil), sound...)
					harm(data)
					if _, err := s.push(data, opts); !errors.Is(err, swapper.ErrBadDatabase) || errors.Is(err, swapper.ErrConstraint) {
						t.Errorf("%s of the freelist, vacuum %s, with %s at the end, quick %v: %v", what, vacuum, end, opts.Quick, err)
					}
				}
			}
		}
	}
}

func TestRowsThatBreakAConstraintAreToldFromDamage(t *testing.T) {
	t.Parallel()
	// As the program's own schema may come to be newer than its rows.
	const rewrite = `PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = replace(sql, '%s', '%s'); PRAGMA writable_schema=RESET`
	rows := map[string]struct {
		statements []string
		says       string
	}{
		"CHECK": {[]string{"CREATE TABLE t (v CHECK (v > 0))", "PRAGMA ignore_check_constraints=ON", "INSERT INTO t VALUES (-1), (-2), (1)"},
			"CHECK constraint failed in t (2 rows)"},
		"NOT NULL": {[]string{"CREATE TABLE t (v)", "INSERT INTO t VALUES (NULL)", fmt.Sprintf(rewrite, "t (v)", "t (v NOT NULL)")},
			"NULL value in t.v (1 row)"},
		"UNIQUE": {[]string{"CREATE TABLE t (v)", "CREATE INDEX i ON t (v)", "INSERT INTO t VALUES (1), (1)", fmt.Sprintf(rewrite, "CREATE INDEX i", "CREATE UNIQUE INDEX i")},
			"non-unique entry in index i (1 row)"},
		"STRICT": {[]string{"CREATE TABLE t (v BLOB)", "INSERT INTO t VALUES ('text')", fmt.Sprintf(rewrite, "t (v BLOB)", "t (v INT) STRICT")},
			"non-INT value in t.v (1 row)"},
		"the type": {[]string{"CREATE TABLE t (v BLOB)", "INSERT INTO t VALUES ('1')", fmt.Sprintf(rewrite, "t (v BLOB)", "t (v INT)")},
			"TEXT value in t.v (1 row)"},
		"many": {[]string{"CREATE TABLE t (v CHECK (v > 0))", "PRAGMA ignore_check_constraints=ON",
			"WITH RECURSIVE n(i) AS (SELECT -1 UNION ALL SELECT i - 1 FROM n WHERE i > -250) INSERT INTO t SELECT i FROM n"},
			"CHECK constraint failed in t (250 rows)"},
	}
	s := start(t, t.TempDir(), "&_journal=WAL")
	for name, c := range rows {
		t.Run(name, func(t *testing.T) {
			data := made(t, c.statements...)
			opts := swapper.PushOptions{SkipSchemaCheck: true, DryRun: true}
			_, err := s.push(data, opts)
			if !errors.Is(err, swapper.ErrConstraint) || !errors.Is(err, swapper.ErrBadDatabase) {
				t.Fatalf("got %v", err)
			}
			for _, says := range []string{c.says, "not damaged", "--skip-constraint-check", "the live database is unchanged"} {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("it does not say %q: %v", says, err)
				}
			}
			for _, wrong := range []string{"corrupt", "copy the source again", ".recover"} {
				if strings.Contains(err.Error(), wrong) {
					t.Errorf("it says %q: %v", wrong, err)
				}
			}
			opts.SkipConstraintCheck = true
			if _, err := s.push(data, opts); err != nil {
				t.Errorf("skipped: %v", err)
			}
			// Behind however many such rows, damage is seen.
			data[39]++
			if _, err := s.push(data, opts); !errors.Is(err, swapper.ErrBadDatabase) || errors.Is(err, swapper.ErrConstraint) {
				t.Errorf("skipped, with damage: %v", err)
			}
		})
	}
}

func TestDamageBehindAHundredBrokenConstraintsIsSeen(t *testing.T) {
	t.Parallel()
	data := made(t, "CREATE TABLE a (v CHECK (v > 0))", "CREATE TABLE b (v CHECK (v > 0))", "CREATE TABLE z (v)", "CREATE INDEX z_v ON z (v)",
		"PRAGMA ignore_check_constraints=ON",
		"WITH RECURSIVE n(i) AS (SELECT -1 UNION ALL SELECT i - 1 FROM n WHERE i > -150) INSERT INTO a SELECT i FROM n",
		"INSERT INTO b SELECT v FROM a", "INSERT INTO z SELECT v FROM a",
		// An index that is not of its table any more.
		"PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX z_v ON z (v + 1)' WHERE name = 'z_v'; PRAGMA writable_schema=RESET")
	s := start(t, t.TempDir(), "")
	for _, skip := range []bool{false, true} {
		_, err := s.push(data, swapper.PushOptions{SkipSchemaCheck: true, SkipConstraintCheck: skip})
		if !errors.Is(err, swapper.ErrBadDatabase) || errors.Is(err, swapper.ErrConstraint) || !strings.Contains(err.Error(), "index z_v") {
			t.Errorf("skipped %v: %v", skip, err)
		}
		if !strings.Contains(err.Error(), "REINDEX") {
			t.Errorf("it does not say how to fix an index: %v", err)
		}
	}
}

func TestTheBackupOfADatabaseWithBrokenConstraintsCanBePushedBack(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	s.pool.SetMaxOpenConns(1)
	s.exec("INSERT INTO items (id, stamp) VALUES (1000, 'x')")
	s.exec("PRAGMA writable_schema=ON")
	s.exec("UPDATE sqlite_schema SET sql = replace(sql, 'filler BLOB', 'filler BLOB NOT NULL') WHERE name = 'items'")
	s.exec("PRAGMA writable_schema=RESET")
	r := s.mustPush(source(t, "new"), swapper.PushOptions{SkipSchemaCheck: true, Backup: true})
	backup, err := os.ReadFile(r.BackupPath)
	if err != nil {
		t.Fatal(err)
	}
	opts := swapper.PushOptions{SkipSchemaCheck: true}
	if _, err := s.push(backup, opts); !errors.Is(err, swapper.ErrConstraint) || !strings.Contains(err.Error(), "NULL value in items.filler") {
		t.Errorf("got %v", err)
	}
	opts.SkipConstraintCheck = true
	s.mustPush(backup, opts)
	if got := s.stamp(); got != "live,x" {
		t.Error(got)
	}
}

// TestAHookThatFailsIsNotTakenForDamage: the schema needs what the hook would
// register, and the hook fails for a reason of its own.
func TestAHookThatFailsIsNotTakenForDamage(t *testing.T) {
	t.Parallel()
	register := func(c *sqlite3.SQLiteConn) error {
		err := c.RegisterFunc("twice", func(n int64) int64 { return 2 * n }, true)
		return errors.Join(err, c.RegisterCollation("reverse", func(a, b string) int { return strings.Compare(b, a) }))
	}
	sql.Register("sqlite3-registers", &sqlite3.SQLiteDriver{ConnectHook: register})
	var broken bool
	sql.Register("hotswap-registers", driver.New(driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		if broken {
			return errors.New("no licence for this file")
		}
		return register(c)
	})))
	for name, table := range map[string]string{
		"function in an index": "CREATE TABLE t (v INT); CREATE INDEX i ON t (twice(v)); INSERT INTO t VALUES (1)",
		"function in a CHECK":  "CREATE TABLE t (v INT CHECK (twice(v) > 0)); INSERT INTO t VALUES (1)",
		"generated column":     "CREATE TABLE t (v INT, w INT NOT NULL AS (twice(v))); INSERT INTO t VALUES (1)",
		"collation":            "CREATE TABLE t (v TEXT COLLATE reverse); CREATE INDEX i ON t (v); INSERT INTO t VALUES ('a'), ('b')",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "made.sqlite3")
			maker, err := sql.Open("sqlite3-registers", path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := maker.Exec(table); err != nil {
				t.Fatal(err)
			}
			maker.Close()
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			pool, err := sql.Open("hotswap-registers", "file:"+filepath.Join(dir, "live.sqlite3"))
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			if err := pool.Ping(); err != nil {
				t.Fatal(err)
			}
			s := &service{t: t, dir: dir, pool: pool}
			s.db, _ = driver.Lookup(filepath.Join(dir, "live.sqlite3"))
			if _, err := s.push(data, swapper.PushOptions{DryRun: true}); err != nil {
				t.Fatalf("with the hook: %v", err)
			}
			broken = true
			_, err = s.push(data, swapper.PushOptions{DryRun: true})
			broken = false
			if err == nil || !strings.Contains(err.Error(), "no licence for this file") || strings.Contains(err.Error(), "corrupt") || strings.Contains(err.Error(), ".recover") {
				t.Errorf("the hook failed: %v", err)
			}
			plain, err := sql.Open(driver.Name, "file:"+filepath.Join(dir, "plain.sqlite3"))
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Close()
			if err := plain.Ping(); err != nil {
				t.Fatal(err)
			}
			s.db, _ = driver.Lookup(filepath.Join(dir, "plain.sqlite3"))
			_, err = s.push(data, swapper.PushOptions{DryRun: true})
			if err == nil || !strings.Contains(err.Error(), "can't be checked") || !strings.Contains(err.Error(), "WithConnectHook") || strings.Contains(err.Error(), ".recover") {
				t.Errorf("no hook: %v", err)
			}
			if _, err := s.push(data, swapper.PushOptions{DryRun: true, SkipIntegrityCheck: true}); err != nil {
				t.Errorf("no hook, not checked: %v", err)
			}
		})
	}
}
