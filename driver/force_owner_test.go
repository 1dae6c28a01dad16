package driver_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

// TestAnInterruptedOwnerIsLeftNoTransaction while a call on another connection, which
// can't be interrupted, keeps the forced freeze from its end. SQLite has rolled the
// transaction back with the write: the next one would be committed by itself.
func TestAnInterruptedOwnerIsLeftNoTransaction(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	name := register(t, driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		return c.RegisterFunc("pass", func() int64 { close(entered); <-leave; return 1 }, false)
	}))
	path := filepath.Join(t.TempDir(), "x.sqlite3")
	db, err := sql.Open(name, "file:"+path+"?_journal=WAL&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
	mustExec(t, db, "INSERT INTO t VALUES (1, 'whole')")
	d, _ := driver.Lookup(path)
	calls := make(chan error, 1)
	go func() { calls <- db.QueryRow("SELECT pass()").Scan(new(int)) }()
	<-entered
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	frozen := make(chan error, 1)
	go func() {
		f, err := d.Freeze(t.Context(), driver.FreezeOptions{Timeout: time.Millisecond, Force: true})
		if err == nil {
			f.Thaw()
		}
		frozen <- err
	}()
	_, err = tx.Exec("WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n) INSERT INTO t SELECT i, 'half' FROM n")
	if !errors.Is(err, driver.ErrForced) {
		t.Fatalf("the write that was interrupted: %v", err)
	}
	if _, err := tx.Exec("INSERT INTO t VALUES (2, 'the other half')"); !errors.Is(err, driver.ErrForced) && !errors.Is(err, sql.ErrTxDone) {
		t.Errorf("the next write in its transaction: %v", err)
	}
	if err := tx.Commit(); !errors.Is(err, driver.ErrForced) && !errors.Is(err, sql.ErrTxDone) {
		t.Errorf("its commit: %v", err)
	}
	close(leave)
	<-calls
	<-frozen
	var n int
	if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v; want 1", n, err)
	}
}

// TestARollbackThatIsInterruptedEndsTheTransaction: SQLite keeps an interrupt for as long as
// a statement is active, those of open Rows for one, and ROLLBACK then does nothing.
func TestARollbackThatIsInterruptedEndsTheTransaction(t *testing.T) {
	for name, begin := range map[string]func(*sql.Conn) (rollback func() error, err error){
		"Tx": func(conn *sql.Conn) (func() error, error) {
			tx, err := conn.BeginTx(t.Context(), nil)
			if err != nil {
				return nil, err
			}
			return tx.Rollback, nil
		},
		"SQL": func(conn *sql.Conn) (func() error, error) {
			_, err := conn.ExecContext(t.Context(), "BEGIN")
			return func() error { _, err := conn.ExecContext(t.Context(), "ROLLBACK"); return err }, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, d := open(t, "", 10)
			conn := connect(t, db)
			rows, err := conn.QueryContext(t.Context(), "SELECT id FROM t")
			if err != nil || !rows.Next() {
				t.Fatal(err)
			}
			defer rows.Close()
			rollback, err := begin(conn)
			if err != nil {
				t.Fatal(err)
			}
			mustExec(t, conn, "INSERT INTO t (v) VALUES ('lost')")
			driver.InterruptByForce(d)
			if err := rollback(); err != nil {
				t.Error(err)
			}
			for rows.Next() {
			}
			if err := rows.Err(); !errors.Is(err, driver.ErrForced) {
				t.Errorf("the Rows: %v", err)
			}
			var n int
			if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 10 {
				t.Errorf("another connection reads %d rows, %v", n, err)
			}
			if err := conn.QueryRowContext(t.Context(), "SELECT count(*) FROM t").Scan(&n); err != nil || n != 10 {
				t.Errorf("this one reads %d rows, %v", n, err)
			}
			mustExec(t, conn, "BEGIN IMMEDIATE")
			mustExec(t, conn, "COMMIT")
		})
	}
}

// A COMMIT that does nothing for the same reason is an error, and nothing is committed.
func TestACommitThatIsInterruptedCommitsNothing(t *testing.T) {
	db, d := open(t, "", 10)
	for name, begin := range map[string]func(*sql.Conn) (commit func() error){
		"Tx": func(conn *sql.Conn) func() error {
			tx, err := conn.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return tx.Commit
		},
		"SQL": func(conn *sql.Conn) func() error {
			mustExec(t, conn, "BEGIN")
			return func() error { _, err := conn.ExecContext(t.Context(), "COMMIT"); return err }
		},
	} {
		conn := connect(t, db)
		rows, err := conn.QueryContext(t.Context(), "SELECT id FROM t")
		if err != nil || !rows.Next() {
			t.Fatal(err)
		}
		commit := begin(conn)
		mustExec(t, conn, "INSERT INTO t (v) VALUES ('lost')")
		driver.InterruptByForce(d)
		if err := commit(); !errors.Is(err, driver.ErrForced) {
			t.Errorf("%s: %v", name, err)
		}
		rows.Close()
		mustExec(t, conn, "BEGIN IMMEDIATE")
		var n int
		if err := conn.QueryRowContext(t.Context(), "SELECT count(*) FROM t").Scan(&n); err != nil || n != 10 {
			t.Errorf("%s: %d rows, %v", name, n, err)
		}
		mustExec(t, conn, "ROLLBACK")
		conn.Close()
	}
}
