package driver_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// TestForceEndsATransactionThatAnotherCallWaitsFor: while it waits for the lock, SQLite
// does not notice an interrupt.
func TestForceEndsATransactionThatAnotherCallWaitsFor(t *testing.T) {
	t.Parallel()
	db, d := open(t, "&_busy_timeout=60000", 5)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("INSERT INTO t (v) VALUES ('tx')"); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	go func() {
		_, err := db.Exec("INSERT INTO t (v) VALUES ('w')")
		waiting <- err
	}()
	testenv.Until(t, "the write waits", func() bool { return len(d.Holders()) == 2 })
	f := mustFreeze(t, d, driver.FreezeOptions{Timeout: 50 * time.Millisecond, Force: true})
	f.Thaw()
	if err := tx.Commit(); !errors.Is(err, driver.ErrForced) {
		t.Errorf("the owner is told %v", err)
	}
	if err := <-waiting; err != nil && !errors.Is(err, driver.ErrForced) {
		t.Error(err)
	}
}

// TestAForcedFreezeTakesTheTransactionWithTheCallThatItInterrupts: SQLite has rolled
// it back when the call returns, and what its owner writes next, not having looked at
// the error, must not be committed by itself.
func TestAForcedFreezeTakesTheTransactionWithTheCallThatItInterrupts(t *testing.T) {
	t.Parallel()
	byText := func(begin, commit string) func(*testing.T, *sql.Conn) (func(string) error, func() error) {
		return func(t *testing.T, c *sql.Conn) (func(string) error, func() error) {
			exec := func(text string) error { _, err := c.ExecContext(context.Background(), text); return err }
			if err := exec(begin); err != nil {
				t.Fatal(err)
			}
			return exec, func() error { return exec(commit) }
		}
	}
	begins := map[string]func(*testing.T, *sql.Conn) (exec func(string) error, commit func() error){
		"Tx": func(t *testing.T, c *sql.Conn) (func(string) error, func() error) {
			tx, err := c.BeginTx(context.Background(), nil)
			if err != nil {
				t.Fatal(err)
			}
			return func(text string) error { _, err := tx.Exec(text); return err }, tx.Commit
		},
		"BEGIN":     byText("BEGIN", "COMMIT"),
		"SAVEPOINT": byText("SAVEPOINT a", "RELEASE a"),
	}
	const endless = "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
	// Texts of several statements, or with a comment, may also change what is recorded of
	// the session.
	ways := map[string]func(c *sql.Conn, exec func(string) error) error{
		"plain":   func(_ *sql.Conn, exec func(string) error) error { return exec(endless) },
		"comment": func(_ *sql.Conn, exec func(string) error) error { return exec("-- name: Fill :exec\n" + endless) },
		"several": func(_ *sql.Conn, exec func(string) error) error { return exec(endless + "; SELECT 1") },
		"second": func(_ *sql.Conn, exec func(string) error) error {
			return exec("DELETE FROM t WHERE v = 'x'; " + endless)
		},
		"with savepoint": func(_ *sql.Conn, exec func(string) error) error { return exec("SAVEPOINT b; " + endless) },
		"temp":           func(_ *sql.Conn, exec func(string) error) error { return exec("CREATE TEMP TABLE x (v); " + endless) },
		"query": func(c *sql.Conn, _ func(string) error) error {
			rows, err := c.QueryContext(context.Background(), "SELECT 1; "+endless)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
			}
			return rows.Err()
		},
		"prepared": func(c *sql.Conn, _ func(string) error) error {
			s, err := c.PrepareContext(context.Background(), "/* c */ "+endless)
			if err != nil {
				return err
			}
			defer s.Close()
			_, err = s.Exec()
			return err
		},
	}
	for how, begin := range begins {
		for way, do := range ways {
			if how == "Tx" && (way == "query" || way == "prepared") {
				continue // those take the connection, which the Tx has
			}
			t.Run(how+"/"+way, func(t *testing.T) {
				t.Parallel()
				takesTheTransaction(t, begin, do)
			})
		}
	}
}

func takesTheTransaction(t *testing.T, begin func(*testing.T, *sql.Conn) (exec func(string) error, commit func() error), do func(c *sql.Conn, exec func(string) error) error) {
	entered, leave := make(chan struct{}), make(chan struct{})
	driverName := register(t, driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		return c.RegisterFunc("pass", func(n int64) int64 { entered <- struct{}{}; <-leave; return n }, false)
	}))
	path := filepath.Join(t.TempDir(), "x.sqlite3")
	pool, err := sql.Open(driverName, "file:"+path+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	mustExec(t, pool, "CREATE TABLE t (v)")
	d, _ := driver.Lookup(path)

	// Another call, which can't be interrupted, keeps the freeze from its end.
	passed := make(chan error, 1)
	go func() { _, err := pool.Exec("SELECT pass(1)"); passed <- err }()
	<-entered
	conn := connect(t, pool)
	exec, commit := begin(t, conn)
	if err := exec("INSERT INTO t VALUES ('first')"); err != nil {
		t.Fatal(err)
	}
	interrupted := make(chan error, 1)
	go func() { interrupted <- do(conn, exec) }()
	frozen := make(chan *driver.Frozen, 1)
	go func() {
		f, err := d.Freeze(context.Background(), driver.FreezeOptions{Timeout: 20 * time.Millisecond, MaxPause: 10 * time.Second, Force: true})
		if err != nil {
			t.Error(err)
		}
		frozen <- f
	}()
	if err := <-interrupted; !errors.Is(err, driver.ErrForced) {
		t.Errorf("the call: %v", err)
	}
	last := make(chan error, 1)
	go func() { last <- exec("INSERT INTO t VALUES ('last')") }()
	select {
	case err := <-last:
		if !errors.Is(err, driver.ErrForced) {
			t.Errorf("the call after it: %v", err)
		}
		last <- err
	case <-time.After(50 * time.Millisecond): // it waits at the gate
	}
	leave <- struct{}{}
	if err := <-passed; err != nil && !errors.Is(err, driver.ErrForced) {
		t.Error(err)
	}
	if f := <-frozen; f != nil {
		f.Thaw()
	}
	if err := <-last; !errors.Is(err, driver.ErrForced) {
		t.Errorf("the call after it: %v", err)
	}
	if err := commit(); !errors.Is(err, driver.ErrForced) {
		t.Errorf("COMMIT: %v", err)
	}
	conn.Close()
	var n int
	if err := pool.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows of the transaction, %v", n, err)
	}
}

// TestAnInterruptedEndOfATransactionEndsIt: a forced freeze may interrupt the ROLLBACK
// that its first interrupt has led to. The next one who gets the connection must not be
// within that transaction. (SQLite keeps an interrupt for as long as Rows are open, so
// that it hits the next call here, too.)
func TestAnInterruptedEndOfATransactionEndsIt(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(sqldriver.Tx) error{"COMMIT": sqldriver.Tx.Commit, "ROLLBACK": sqldriver.Tx.Rollback} {
		db, d := open(t, "", 5)
		db.SetMaxOpenConns(1)
		conn := connect(t, db)
		err := conn.Raw(func(dc any) error {
			tx, err := dc.(sqldriver.ConnBeginTx).BeginTx(t.Context(), sqldriver.TxOptions{})
			if err != nil {
				return err
			}
			if _, err := dc.(sqldriver.ExecerContext).ExecContext(t.Context(), "INSERT INTO t (v) VALUES ('in it')", nil); err != nil {
				return err
			}
			rows, err := dc.(sqldriver.QueryerContext).QueryContext(t.Context(), "SELECT v FROM t", nil)
			if err != nil {
				return err
			}
			defer rows.Close()
			if err := rows.Next(make([]sqldriver.Value, 1)); err != nil {
				return err
			}
			driver.InterruptByForce(d)
			return end(tx)
		})
		if name == "ROLLBACK" && err != nil || name == "COMMIT" && !errors.Is(err, driver.ErrForced) {
			t.Errorf("%s: %v", name, err)
		}
		conn.Close()
		tx, err := db.Begin()
		if err != nil {
			t.Fatalf("%s: the next BEGIN: %v", name, err)
		}
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
		var n int
		if err := db.QueryRow("SELECT count(*) FROM t WHERE v = 'in it'").Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d rows, %v", name, n, err)
		}
	}
}

// TestWhatAForcedFreezeEndsLeavesNoTransactionInThePool: an interrupt may hit the
// ROLLBACK that the first one has led to. Each worker goes on with a write, which is
// there if it returned nil.
func TestWhatAForcedFreezeEndsLeavesNoTransactionInThePool(t *testing.T) {
	t.Parallel()
	const workers = 20
	db, d := open(t, "&_busy_timeout=20000", 1)
	mustExec(t, db, "CREATE TABLE w (worker, n)")
	stop := make(chan struct{})
	var group sync.WaitGroup
	var written [workers]int
	for w := range workers {
		group.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				tx, err := db.Begin()
				if errors.Is(err, driver.ErrForced) {
					continue
				}
				if err != nil {
					t.Errorf("BEGIN: %v", err)
					return
				}
				var n int
				err = tx.QueryRow("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT count(*) FROM n").Scan(&n)
				if err := tx.Rollback(); err != nil {
					t.Errorf("ROLLBACK: %v", err)
				}
				if err == nil {
					continue
				}
				if _, err := db.Exec("INSERT INTO w VALUES (?, ?)", w, written[w]); err == nil {
					written[w]++
				} else if !errors.Is(err, driver.ErrForced) {
					t.Errorf("INSERT: %v", err)
				}
			}
		})
	}
	for range testenv.Sample(15, 150) {
		f, err := d.Freeze(t.Context(), driver.FreezeOptions{Timeout: 5 * time.Millisecond, Force: true})
		var held *driver.HeldError
		if errors.As(err, &held) {
			continue
		}
		if err != nil {
			t.Error(err)
			break
		}
		f.Thaw()
	}
	close(stop)
	group.Wait()
	for w, n := range written {
		var got int
		if err := db.QueryRow("SELECT count(*) FROM w WHERE worker = ?", w).Scan(&got); err != nil || got != n {
			t.Errorf("worker %d: %d of %d acknowledged writes, %v", w, got, n, err)
		}
	}
}
