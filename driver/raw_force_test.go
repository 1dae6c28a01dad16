package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

// TestAFunctionInRawIsNotInterrupted: it alone knows which of what it does belongs
// together.
func TestAFunctionInRawIsNotInterrupted(t *testing.T) {
	db, d := open(t, "", 1)
	conn := connect(t, db)
	mustExec(t, conn, "BEGIN")
	mustExec(t, conn, "INSERT INTO t (v) VALUES ('first')")
	const long = "INSERT INTO t (v) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) SELECT i FROM n"
	force := func() error {
		_, err := d.Freeze(context.Background(), driver.FreezeOptions{Timeout: time.Millisecond, MaxPause: 20 * time.Millisecond, Force: true})
		return err
	}
	err := driver.Raw(conn, func(c *sqlite3.SQLiteConn) error {
		failed := make(chan error)
		go func() { failed <- force() }()
		for {
			if _, err := c.Exec(long, nil); err != nil {
				t.Errorf("in Raw: %v", err)
			}
			select {
			case err := <-failed:
				var held *driver.HeldError
				if !errors.As(err, &held) || len(held.Holders) != 1 || held.Holders[0].Query != "a function in driver.Raw" {
					t.Errorf("the freeze: %v", err)
				}
				_, err = c.Exec("COMMIT", nil)
				return err
			default:
			}
		}
	})
	if err != nil {
		t.Errorf("Raw: %v", err)
	}
	// The freeze that failed leaves nothing behind.
	for _, text := range []string{"BEGIN", "INSERT INTO t (v) VALUES ('later')", "COMMIT"} {
		if err := raw(conn, text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	var n int
	if err := db.QueryRow("SELECT count(*) FROM t WHERE v IN ('first', 'later')").Scan(&n); err != nil || n != 2 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// TestAnInterruptBeforeRawHitsNothingInIt: SQLite keeps one for as long as Rows are open.
func TestAnInterruptBeforeRawHitsNothingInIt(t *testing.T) {
	db, d := open(t, "", 5)
	conn := connect(t, db)
	mustExec(t, conn, "BEGIN")
	mustExec(t, conn, "INSERT INTO t (v) VALUES ('x')")
	rows, err := conn.QueryContext(t.Context(), "SELECT v FROM t")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	rows.Next()
	driver.InterruptByForce(d)
	called := false
	err = driver.Raw(conn, func(*sqlite3.SQLiteConn) error { called = true; return nil })
	if called || !errors.Is(err, driver.ErrForced) {
		t.Errorf("called: %v; %v", called, err)
	}
	if _, err := conn.ExecContext(t.Context(), "COMMIT"); !errors.Is(err, driver.ErrForced) {
		t.Errorf("COMMIT: %v", err)
	}
}

// TestALossIsEndedByTextIfRawHasBegunTheTransaction: what a function is about to do is
// unknown, so none is called.
func TestALossIsEndedByTextIfRawHasBegunTheTransaction(t *testing.T) {
	db, d := open(t, "", 1)
	conn := connect(t, db)
	if err := raw(conn, "BEGIN; INSERT INTO t (v) VALUES ('x')"); err != nil {
		t.Fatal(err)
	}
	mustFreeze(t, d, driver.FreezeOptions{Timeout: time.Millisecond, Force: true}).Thaw()
	for range 2 {
		if err := raw(conn, "ROLLBACK"); !errors.Is(err, driver.ErrForced) {
			t.Errorf("Raw: %v", err)
		}
	}
	mustExec(t, conn, "ROLLBACK")
	if err := raw(conn, "INSERT INTO t (v) VALUES ('y')"); err != nil {
		t.Error(err)
	}
}

// TestAForcedTextOfSeveralSaysThatAPartMayBeDone: outside a transaction each statement is
// one of its own.
func TestAForcedTextOfSeveralSaysThatAPartMayBeDone(t *testing.T) {
	const endless = "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT running() UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
	const said = "run it again from the statement on that was interrupted"
	for text, want := range map[string]bool{"INSERT INTO t VALUES (1); " + endless: true, endless: false} {
		running := make(chan struct{})
		name := register(t, driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
			return c.RegisterFunc("running", func() int { close(running); return 1 }, false)
		}))
		path := filepath.Join(t.TempDir(), "x.sqlite3")
		db, err := sql.Open(name, path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		mustExec(t, db, "CREATE TABLE t (v)")
		d, _ := driver.Lookup(path)
		done := make(chan error)
		go func() { _, err := db.Exec(text); done <- err }()
		<-running
		mustFreeze(t, d, driver.FreezeOptions{Timeout: time.Millisecond, Force: true}).Thaw()
		if err := <-done; !errors.Is(err, driver.ErrForced) || strings.Contains(err.Error(), said) != want {
			t.Errorf("%.20s: %v", text, err)
		}
	}
}

func raw(conn *sql.Conn, text string) error {
	return driver.Raw(conn, func(c *sqlite3.SQLiteConn) error { _, err := c.Exec(text, nil); return err })
}
