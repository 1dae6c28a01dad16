package driver_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

const definitions = `
	CREATE INDEX ti ON t (v);
	CREATE VIEW tv AS SELECT 1;
	CREATE TRIGGER tt AFTER UPDATE ON t BEGIN SELECT 1; END;
	CREATE TABLE dropped (x)`

// TestATextThatNeedsNoLockDoesNotQueue, whatever its first word is.
func TestATextThatNeedsNoLockDoesNotQueue(t *testing.T) {
	immediate, deferred, d := openTwo(t)
	mustExec(t, deferred, definitions) // with its connection, which would not know of them
	hold(t, immediate)
	for text, fails := range map[string]bool{
		"CREATE TABLE IF NOT EXISTS t (id)":                                         false,
		"CREATE INDEX IF NOT EXISTS ti ON t (v)":                                    false,
		"CREATE VIEW IF NOT EXISTS tv AS SELECT 1":                                  false,
		"CREATE TRIGGER IF NOT EXISTS tt AFTER UPDATE ON t BEGIN SELECT 1; END":     false,
		"CREATE TABLE IF NOT EXISTS t (id); CREATE INDEX IF NOT EXISTS ti ON t (v)": false,
		"DROP TABLE IF EXISTS none":                                                 false,
		"DROP INDEX IF EXISTS none":                                                 false,
		"CREATE TABLE temp.o (v)":                                                   false,
		"CREATE VIRTUAL TABLE temp.o USING rtree (a, b, c)":                         false,
		"WITH a(x) AS (SELECT 1) SELECT x FROM a, t":                                false,
		"INSERT INTO t (v) VALUES (?)":                                              true,
		"INSERT INTO t (v) VALUES (?) RETURNING v":                                  true,
		"CREATE TABLE made AS SELECT ?":                                             true,
	} {
		conn := connect(t, deferred) // another for each: who has made a temporary table does not queue
		err := soon(t, text, start(func() error { _, err := conn.ExecContext(t.Context(), text); return err }))
		if (err != nil) != fails {
			t.Errorf("%s: %v", text, err)
		}
		if fails {
			continue
		}
		stmt, err := conn.PrepareContext(t.Context(), text)
		if err != nil { // now there is one
			continue
		}
		if err := soon(t, text, start(func() error { _, err := stmt.Exec(); return err })); err != nil {
			t.Errorf("prepared: %s: %v", text, err)
		}
	}
	if n := driver.WaitingWriters(d); n != 0 {
		t.Errorf("%d wait", n)
	}
}

// TestWhoHasATemporaryTableDoesNotQueue, whoever made it.
func TestWhoHasATemporaryTableDoesNotQueue(t *testing.T) {
	immediate, deferred, d := openTwo(t)
	making := func(c *sqlite3.SQLiteConn) error { _, err := c.Exec("CREATE TEMP TABLE o (v)", nil); return err }
	db, err := sql.Open(register(t, driver.WithConnectHook(making)), "file:"+d.Path()+"?"+writersWait)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	hooked, handed := connect(t, db), connect(t, deferred)
	if err := driver.Raw(handed, making); err != nil {
		t.Fatal(err)
	}
	for name, conn := range map[string]*sql.Conn{"by a connect hook": hooked, "in Raw": handed} {
		tx := hold(t, immediate)
		err := soon(t, name, start(func() error { _, err := conn.ExecContext(t.Context(), "INSERT INTO o VALUES (1)"); return err }))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		begun := start(func() error { _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE; ROLLBACK"); return err })
		testenv.Until(t, "BEGIN queues", func() bool { return driver.WaitingWriters(d) == 1 })
		tx.Rollback()
		if err := soon(t, "BEGIN", begun); err != nil {
			t.Errorf("%s: BEGIN: %v", name, err)
		}
	}
}

// TestATextThatNeedsTheLockQueues, although another of that kind may not.
func TestATextThatNeedsTheLockQueues(t *testing.T) {
	immediate, deferred, d := openTwo(t)
	mustExec(t, immediate, definitions)
	temporary := connect(t, deferred)
	mustExec(t, temporary, "CREATE TEMP TABLE o (v)")
	attached := connect(t, deferred)
	mustExec(t, attached, "ATTACH ? AS other", filepath.Join(t.TempDir(), "other.sqlite3"))
	exec := func(db execer, texts ...string) func() error {
		return func() error {
			for _, text := range texts {
				if _, err := db.ExecContext(context.Background(), text); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for name, write := range map[string]func() error{
		"CREATE":                         exec(deferred, "CREATE TABLE IF NOT EXISTS made (x)"),
		"DROP":                           exec(deferred, "DROP TABLE IF EXISTS dropped"),
		"ALTER":                          exec(deferred, "ALTER TABLE t ADD COLUMN w"),
		"REINDEX":                        exec(deferred, "REINDEX"),
		"ANALYZE":                        exec(deferred, "ANALYZE"),
		"BEGIN beside a temporary table": exec(temporary, "BEGIN IMMEDIATE", "COMMIT"),
		"BEGIN beside an attached file":  exec(attached, "BEGIN IMMEDIATE", "COMMIT"),
	} {
		tx := hold(t, immediate)
		ended := start(write)
		testenv.Until(t, name+" queues", func() bool { return driver.WaitingWriters(d) == 1 })
		tx.Rollback()
		if err := soon(t, name, ended); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := driver.QueuedWriters(d); n != 0 {
			t.Errorf("%s: the place is still taken", name)
		}
	}
}

// TestNobodyQueuesWhereSQLiteDoesNotWait: the locks of a shared cache fail at once, and some
// connections have none.
func TestNobodyQueuesWhereSQLiteDoesNotWait(t *testing.T) {
	for params, fails := range map[string]bool{"cache=shared": true, "nolock=1": false} {
		if fails && driver.UnlockNotify {
			continue // see TestASharedCacheIsRefusedWithUnlockNotify
		}
		path := filepath.Join(t.TempDir(), "x.sqlite3")
		db, err := sql.Open(driver.Name, "file:"+path+"?_txlock=immediate&"+writersWait+"&"+params)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		mustExec(t, db, "CREATE TABLE t (v)")
		d, _ := driver.Lookup(path)
		driver.PatientWriters(d)
		first, second := connect(t, db), connect(t, db)
		mustExec(t, second, "SELECT 1")
		tx, err := first.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, begin := range map[string]func() error{
			"BeginTx": func() error {
				tx, err := second.BeginTx(t.Context(), nil)
				if err == nil {
					tx.Rollback()
				}
				return err
			},
			"BEGIN": func() error {
				_, err := second.ExecContext(t.Context(), "BEGIN IMMEDIATE; ROLLBACK")
				return err
			},
		} {
			if err := soon(t, params+" "+name, start(begin)); (err != nil) != fails {
				t.Errorf("%s: %s: %v", params, name, err)
			}
		}
		tx.Rollback()
	}
}

// TestOneThatMustReadTheSchemaQueues, rather than wait for it first.
func TestOneThatMustReadTheSchemaQueues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sqlite3")
	db, err := sql.Open(driver.Name, "file:"+path+"?_txlock=exclusive&"+writersWait)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mustExec(t, db, "CREATE TABLE t (v)")
	d, _ := driver.Lookup(path)
	driver.PatientWriters(d)
	first, second := connect(t, db), connect(t, db)
	mustExec(t, second, "PRAGMA busy_timeout = 3000000")
	mustExec(t, second, "BEGIN; CREATE TABLE forgotten (v); ROLLBACK") // and the schema with it
	tx, err := first.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	ended := start(func() error { _, err := second.ExecContext(t.Context(), "INSERT INTO t VALUES (1)"); return err })
	testenv.Until(t, "it queues", func() bool { return driver.WaitingWriters(d) == 1 })
	tx.Rollback()
	if err := soon(t, "it", ended); err != nil {
		t.Error(err)
	}
	var timeout int
	if err := second.QueryRowContext(t.Context(), "PRAGMA busy_timeout").Scan(&timeout); err != nil || timeout != 3000000 {
		t.Errorf("then it waits for %d ms, %v", timeout, err)
	}
}
