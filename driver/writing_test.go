package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// writersWait is a busy timeout that no test outlasts.
const writersWait = "_busy_timeout=3600000"

// openTwo opens a database in two pools, whose transactions begin with the write lock, and
// without. Who queues there waits for ever.
func openTwo(t *testing.T) (immediate, deferred *sql.DB, d *driver.Database) {
	t.Helper()
	immediate, d = open(t, "&"+writersWait, 1)
	driver.PatientWriters(d)
	deferred, err := sql.Open(driver.Name, "file:"+d.Path()+"?"+writersWait)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { deferred.Close() })
	mustExec(t, deferred, "SELECT 1") // a lone connection only queues in transactions
	return immediate, deferred, d
}

func hold(t *testing.T, db *sql.DB) *sql.Tx {
	t.Helper()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tx.Rollback() })
	return tx
}

// soon returns what comes from ch, soon.
func soon(t *testing.T, what string, ch <-chan error) error {
	t.Helper()
	select {
	case err := <-ch:
		return err
	case <-time.After(30 * time.Second):
		t.Fatalf("waited in vain for %s", what)
		return nil
	}
}

func start(call func() error) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- call() }()
	return ended
}

const insert = "INSERT INTO t (v) VALUES ('x')"

// writes are the ways to write of which it is known beforehand.
var writes = map[string]func(*sql.DB) error{
	"Exec": func(db *sql.DB) error {
		_, err := db.Exec(insert)
		return err
	},
	"Exec with a comment": func(db *sql.DB) error {
		_, err := db.Exec("-- name: Insert :exec\n" + insert)
		return err
	},
	"Exec of WITH": func(db *sql.DB) error {
		_, err := db.Exec("WITH a(v) AS (VALUES ('x')) INSERT INTO t (v) SELECT v FROM a")
		return err
	},
	"Stmt.Exec": func(db *sql.DB) error {
		stmt, err := db.Prepare(insert)
		if err != nil {
			return err
		}
		defer stmt.Close()
		_, err = stmt.Exec()
		return err
	},
	"Query": func(db *sql.DB) error {
		var v string
		return db.QueryRow(insert + " RETURNING v").Scan(&v)
	},
	"Stmt.Query": func(db *sql.DB) error {
		stmt, err := db.Prepare(insert + " RETURNING v")
		if err != nil {
			return err
		}
		defer stmt.Close()
		var v string
		return stmt.QueryRow().Scan(&v)
	},
	"Tx": func(db *sql.DB) error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.Exec(insert); err != nil {
			return err
		}
		return tx.Commit()
	},
}

// TestAWriterQueuesBeforeItsCall, so that a freeze does not wait for it.
func TestAWriterQueuesBeforeItsCall(t *testing.T) {
	immediate, deferred, d := openTwo(t)
	for name, write := range writes {
		tx := hold(t, immediate)
		ended := start(func() error { return write(deferred) })
		testenv.Until(t, name+" queues", func() bool { return driver.WaitingWriters(d) == 1 })
		for _, h := range d.Holders() {
			if h.Kind == driver.HoldCall {
				t.Errorf("%s: %+v", name, h)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		if err := soon(t, name, ended); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := driver.QueuedWriters(d); n != 0 {
			t.Errorf("%s: the place is still taken", name)
		}
	}
	var n int
	if err := immediate.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 1+len(writes) {
		t.Errorf("%d rows, %v", n, err)
	}
}

// TestWhoHasReadOrWrittenDoesNotQueue: it might wait for one that waits for its lock, or
// whose commit makes it fail.
func TestWhoHasReadOrWrittenDoesNotQueue(t *testing.T) {
	ctx := context.Background()
	t.Run("written", func(t *testing.T) {
		immediate, deferred, d := openTwo(t)
		conn := connect(t, deferred)
		err := driver.Raw(conn, func(c *sqlite3.SQLiteConn) error { // which is in no queue
			_, err := c.Exec("BEGIN IMMEDIATE", nil)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		other := start(func() error {
			tx, err := immediate.Begin()
			if err == nil {
				tx.Rollback()
			}
			return err
		})
		testenv.Until(t, "another has the place", func() bool { return driver.QueuedWriters(d) == 1 })
		err = soon(t, "the one with the lock", start(func() error {
			if _, err := conn.ExecContext(ctx, insert); err != nil {
				return err
			}
			_, err := conn.ExecContext(ctx, "COMMIT")
			return err
		}))
		if err != nil {
			t.Error(err)
		}
		if err := soon(t, "the other", other); err != nil {
			t.Error(err)
		}
	})
	for name, read := range map[string]func(t *testing.T, conn *sql.Conn) (write func() error){
		"read in a transaction": func(t *testing.T, conn *sql.Conn) func() error {
			tx, err := conn.BeginTx(ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { tx.Rollback() })
			var n int
			if err := tx.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
				t.Fatal(err)
			}
			return func() error { _, err := tx.Exec(insert); return err }
		},
		"read by open rows": func(t *testing.T, conn *sql.Conn) func() error {
			rows, err := conn.QueryContext(ctx, "SELECT id FROM t UNION ALL SELECT 0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { rows.Close() })
			rows.Next()
			return func() error { _, err := conn.ExecContext(ctx, insert); return err }
		},
	} {
		t.Run(name, func(t *testing.T) {
			immediate, deferred, d := openTwo(t)
			write := read(t, connect(t, deferred))
			other := hold(t, immediate)
			mustExec(t, other, insert)
			if driver.QueuedWriters(d) != 1 {
				t.Error("the place is free")
			}
			var se sqlite3.Error
			if err := soon(t, "the write", start(write)); !errors.As(err, &se) || se.Code != sqlite3.ErrBusy {
				t.Errorf("got %v, want SQLITE_BUSY, for which SQLite does not wait either", err)
			}
		})
	}
}

// TestOneThatDoesNotWaitForALockDoesNotQueue, wherever its busy timeout comes from.
func TestOneThatDoesNotWaitForALockDoesNotQueue(t *testing.T) {
	hooked := register(t, driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		_, err := c.Exec("PRAGMA busy_timeout = 0", nil)
		return err
	}))
	for name, how := range map[string]struct{ driver, params, pragma string }{
		"data source name": {driver.Name, "_busy_timeout=0", ""},
		"pragma":           {driver.Name, writersWait, "PRAGMA busy_timeout = 0"},
		"connect hook":     {hooked, writersWait, ""},
	} {
		t.Run(name, func(t *testing.T) {
			immediate, _, d := openTwo(t)
			db, err := sql.Open(how.driver, "file:"+d.Path()+"?"+how.params)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			db.SetMaxOpenConns(1)
			mustExec(t, db, how.pragma)
			hold(t, immediate)
			var se sqlite3.Error
			if err := soon(t, "SQLITE_BUSY", start(func() error { _, err := db.Exec(insert); return err })); !errors.As(err, &se) || se.Code != sqlite3.ErrBusy {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAQueuedWritersContextEnds(t *testing.T) {
	immediate, deferred, d := openTwo(t)
	tx := hold(t, immediate)
	ctx, cancel := context.WithCancel(context.Background())
	first := start(func() error { _, err := deferred.ExecContext(ctx, insert); return err })
	testenv.Until(t, "one queues", func() bool { return driver.WaitingWriters(d) == 1 })
	second := start(func() error { return writes["Exec"](deferred) })
	testenv.Until(t, "two queue", func() bool { return driver.WaitingWriters(d) == 2 })
	cancel()
	if err := soon(t, "the first", first); err != context.Canceled {
		t.Errorf("got %v", err)
	}
	tx.Commit()
	if err := soon(t, "the second", second); err != nil {
		t.Error(err)
	}
}
