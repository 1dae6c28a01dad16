package driver_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// TestThePlaceLastsAsLongAsTheLock, as far as that is known.
func TestThePlaceLastsAsLongAsTheLock(t *testing.T) {
	immediately, db, d := openTwo(t)
	ctx := context.Background()
	taken := func(when string, want int) {
		t.Helper()
		if n := driver.QueuedWriters(d); n != want {
			t.Errorf("%s: the place is taken by %d, not %d", when, n, want)
		}
	}
	conn := connect(t, db)
	if _, err := conn.ExecContext(ctx, "INSERT INTO t VALUES (1, 'again')"); err == nil {
		t.Error("a constraint does not hold")
	}
	taken("after an error", 0)
	mustExec(t, conn, insert)
	taken("after an INSERT", 0)
	rows, err := conn.QueryContext(ctx, insert+" RETURNING v")
	if err != nil {
		t.Fatal(err)
	}
	taken("while RETURNING's rows are open", 1)
	mustExec(t, conn, insert)
	taken("after a write within them", 1)
	rows.Close()
	taken("once they are closed", 0)
	stmt, err := conn.PrepareContext(ctx, insert+" RETURNING v")
	if err != nil {
		t.Fatal(err)
	}
	if rows, err = stmt.Query(); err != nil {
		t.Fatal(err)
	}
	stmt.Close()
	taken("once the statement is closed beneath its rows", 0)
	rows.Close()
	if rows, err = conn.QueryContext(ctx, "SELECT 1 UNION SELECT 2"); err != nil {
		t.Fatal(err)
	}
	taken("while a SELECT's rows are open", 0)
	mustExec(t, conn, insert)
	taken("after a write within those", 0)
	rows.Close()
	if rows, err = conn.QueryContext(ctx, insert); err != nil {
		t.Fatal(err)
	}
	taken("while the rows of an INSERT are open that returns none", 0)
	rows.Close()
	for _, begin := range []string{"BEGIN", "BEGIN IMMEDIATE"} {
		mustExec(t, conn, begin)
		mustExec(t, conn, insert)
		taken("in a transaction by SQL text", 1)
		mustExec(t, conn, "COMMIT")
		taken("after its COMMIT", 0)
	}
	mustExec(t, conn, "CREATE TABLE made (x)")
	taken("after CREATE", 0)
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	taken("in a transaction that has not written", 0)
	mustExec(t, tx, insert)
	taken("in one that has", 1)
	if rows, err = tx.Query(insert + " RETURNING v"); err != nil {
		t.Fatal(err)
	}
	rows.Close()
	taken("after RETURNING in it", 1)
	mustExec(t, tx, "SAVEPOINT s; DELETE FROM t; ROLLBACK TO s")
	taken("after it was rolled back in part", 1)
	tx.Commit()
	taken("after it", 0)
	for name, ends := range map[string]string{
		"has no such table":        "INSERT INTO nothing VALUES (1)",
		"lacks an argument":        "INSERT INTO t (v) VALUES (?)",
		"only reads":               "WITH a(x) AS (SELECT 1) SELECT x FROM a",
		"is rolled back by itself": insert + "; INSERT OR ROLLBACK INTO t VALUES (1, 'again')",
		"is committed":             insert + "; COMMIT",
		"is rolled back":           insert + "; ROLLBACK",
	} {
		if tx, err = conn.BeginTx(ctx, nil); err != nil {
			t.Fatal(err)
		}
		tx.Exec(ends)
		taken("in one that "+name, 0)
		tx.Rollback()
		taken("after one that "+name, 0)
	}
	immediate := hold(t, immediately)
	taken("in one that begins with the lock", 1)
	if _, err := immediate.Exec("INSERT OR ROLLBACK INTO t VALUES (1, 'again')"); err == nil {
		t.Error("a constraint does not hold")
	}
	taken("in it, rolled back", 0)
	mustExec(t, conn, insert)
	immediate.Rollback()

	// Which file is written is unknown.
	mustExec(t, conn, "ATTACH ? AS other", filepath.Join(t.TempDir(), "other.sqlite3"))
	mustExec(t, conn, "CREATE TABLE other.o (v)")
	if rows, err = conn.QueryContext(ctx, "INSERT INTO o VALUES (1) RETURNING v"); err != nil {
		t.Fatal(err)
	}
	taken("while another file is written", 0)
	rows.Close()
	temp := connect(t, db)
	mustExec(t, temp, "CREATE TEMP TABLE o (v)")
	if rows, err = temp.QueryContext(ctx, "INSERT INTO o VALUES (1) RETURNING v"); err != nil {
		t.Fatal(err)
	}
	taken("while a temporary table is written", 0)
	rows.Close()
}

// TestAWriteThatFailsAnywayDoesNotQueue.
func TestAWriteThatFailsAnywayDoesNotQueue(t *testing.T) {
	immediate, deferred, d := openTwo(t)
	readOnly, err := sql.Open(driver.Name, "file:"+d.Path()+"?mode=ro&"+writersWait)
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	queryOnly, err := sql.Open(driver.Name, "file:"+d.Path()+"?_query_only=1&"+writersWait)
	if err != nil {
		t.Fatal(err)
	}
	defer queryOnly.Close()
	reading := connect(t, deferred)
	mustExec(t, reading, "PRAGMA query_only = 1")
	exec := func(db interface {
		ExecContext(context.Context, string, ...any) (sql.Result, error)
	}, query string) func() error {
		return func() error { _, err := db.ExecContext(t.Context(), query); return err }
	}
	hold(t, immediate)
	for name, write := range map[string]func() error{
		"no such table":              exec(deferred, "INSERT INTO nothing VALUES (1)"),
		"no such syntax":             exec(deferred, "INSERT t"),
		"read-only":                  exec(readOnly, insert),
		"query-only":                 exec(queryOnly, insert),
		"query-only, by SQL text":    exec(reading, insert),
		"a statement, no such table": func() error { _, err := deferred.Query("DELETE FROM nothing RETURNING *"); return err },
	} {
		if err := soon(t, name, start(write)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := soon(t, "a transaction that only reads", start(exec(readOnly, "BEGIN IMMEDIATE"))); err != nil {
		t.Error(err)
	}
}

// TestWritersDoNotKeepTheLockFromOthers, which look for it now and then.
func TestWritersDoNotKeepTheLockFromOthers(t *testing.T) {
	db, d := open(t, "", 1)
	outside, err := sql.Open("sqlite3", d.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	temporary := connect(t, db)
	mustExec(t, temporary, "CREATE TEMP TABLE o (v)")
	over, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for range 6 {
		wg.Go(func() {
			for over.Err() == nil {
				tx, err := db.Begin()
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := tx.Exec(insert); err != nil {
					t.Error(err)
				}
				time.Sleep(5 * time.Millisecond) // the transaction's work
				if err := tx.Commit(); err != nil {
					t.Error(err)
				}
				time.Sleep(5 * time.Millisecond) // and what comes between two
			}
		})
	}
	testenv.Until(t, "they queue", func() bool { return driver.WaitingWriters(d) > 1 })
	for name, other := range map[string]interface {
		ExecContext(context.Context, string, ...any) (sql.Result, error)
	}{"go-sqlite3": outside, "a connection with a temporary table": temporary} {
		for range 3 {
			if _, err := other.ExecContext(t.Context(), insert); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
