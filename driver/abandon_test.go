package driver_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"io"
	"path/filepath"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/inside"
)

// panics calls f, which panics, as net/http calls a handler.
func panics(t *testing.T, f func()) {
	t.Helper()
	done := make(chan any)
	go func() {
		defer func() { done <- recover() }()
		f()
	}()
	if p := <-done; p != "a user's mistake" {
		t.Fatalf("recovered %v", p)
	}
}

// TestAPanicOfAFunctionCalledBySQLiteCostsItsConnectionAlone: SQLite's mutex of that
// one stays locked.
func TestAPanicOfAFunctionCalledBySQLiteCostsItsConnectionAlone(t *testing.T) {
	withTx := func(t *testing.T, db *sql.DB, f func(tx *sql.Tx)) {
		tx, err := db.Begin()
		if err != nil {
			t.Error(err)
			return
		}
		defer tx.Rollback()
		f(tx)
	}
	for name, call := range map[string]func(*testing.T, *sql.DB){
		"exec":            func(_ *testing.T, db *sql.DB) { db.Exec("INSERT INTO t SELECT oops(3)") },
		"exec, arguments": func(_ *testing.T, db *sql.DB) { db.Exec("INSERT INTO t SELECT oops(?)", 3) },
		"query":           func(_ *testing.T, db *sql.DB) { db.Query("SELECT oops(3)") },
		"cached": func(_ *testing.T, db *sql.DB) {
			for i := range 4 {
				var n int
				db.QueryRow("SELECT oops(?)", i).Scan(&n)
			}
		},
		"prepared": func(t *testing.T, db *sql.DB) {
			s, err := db.Prepare("INSERT INTO t SELECT oops(3)")
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			s.Exec()
		},
		"step": func(t *testing.T, db *sql.DB) {
			rows, err := db.Query("SELECT oops(id) FROM t")
			if err != nil {
				t.Error(err)
				return
			}
			defer rows.Close()
			for rows.Next() {
			}
		},
		"context that ends": func(t *testing.T, db *sql.DB) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			db.ExecContext(ctx, "INSERT INTO t SELECT oops(3)")
		},
		"transaction": func(t *testing.T, db *sql.DB) {
			withTx(t, db, func(tx *sql.Tx) { tx.Exec("SELECT oops(3)") })
		},
		"commit": func(t *testing.T, db *sql.DB) {
			withTx(t, db, func(tx *sql.Tx) {
				tx.Exec("INSERT INTO t VALUES (-3)")
				tx.Commit()
			})
		},
		"raw": func(t *testing.T, db *sql.DB) {
			conn, err := db.Conn(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			driver.Raw(conn, func(c *sqlite3.SQLiteConn) error {
				_, err := c.Exec("SELECT oops(3)", nil)
				return err
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			hook := func(c *sqlite3.SQLiteConn) error {
				armed := false
				c.RegisterUpdateHook(func(_ int, _, _ string, id int64) { armed = id == -3 })
				c.RegisterCommitHook(func() int {
					if armed {
						panic("a user's mistake")
					}
					return 0
				})
				return c.RegisterFunc("oops", func(n int64) int64 {
					if n == 3 {
						panic("a user's mistake")
					}
					return n
				}, false)
			}
			path := filepath.Join(t.TempDir(), "x.sqlite3")
			db, err := sql.Open(register(t, driver.WithConnectHook(hook)), "file:"+path+"?_journal=WAL&_txlock=immediate&_busy_timeout=1")
			if err != nil {
				t.Fatal(err)
			}
			mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
			mustExec(t, db, "INSERT INTO t VALUES (1), (2), (3)")
			d, _ := driver.Lookup(path)
			panics(t, func() { call(t, db) })

			if n := driver.QueuedWriters(d); n != 0 {
				t.Errorf("%d in the writers' queue", n)
			}
			ended := make(chan error, 1)
			go func() {
				f, err := d.Freeze(t.Context(), driver.FreezeOptions{Timeout: 5 * time.Second})
				if err == nil {
					f.Thaw()
				}
				for range 3 {
					if err == nil {
						var n int
						err = db.QueryRow("SELECT count(*) FROM t").Scan(&n)
					}
				}
				if err == nil {
					err = db.Close()
				}
				ended <- err
			}()
			select {
			case err := <-ended:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(20 * time.Second):
				t.Error("a freeze, or a call after it, waits for the connection of the one that panicked")
			}
		})
	}
}

// TestAPanicOfTheConnectHookLeavesNoConnectionBehind that a freeze waits for.
func TestAPanicOfTheConnectHookLeavesNoConnectionBehind(t *testing.T) {
	mistaken := false
	path := filepath.Join(t.TempDir(), "x.sqlite3")
	drv := driver.New(driver.WithConnectHook(func(*sqlite3.SQLiteConn) error {
		if mistaken {
			panic("a user's mistake")
		}
		return nil
	}))
	connector, err := drv.OpenConnector("file:" + path + "?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer connector.(io.Closer).Close()
	conn, err := connector.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	d, _ := driver.Lookup(path)
	mustFreeze(t, d, driver.FreezeOptions{}).Thaw()

	mistaken = true
	if n, err := inside.Of(d).Reconnect(); n != 0 || err == nil {
		t.Errorf("reconnected %d, %v", n, err)
	}
	for _, call := range []func(){ // the first three on one that reopens
		func() { conn.(sqldriver.ExecerContext).ExecContext(t.Context(), "SELECT 1", nil) },
		func() { conn.(sqldriver.ConnBeginTx).BeginTx(t.Context(), sqldriver.TxOptions{}) },
		func() { conn.(sqldriver.QueryerContext).QueryContext(t.Context(), "SELECT 1", nil) },
		func() { connector.Connect(t.Context()) },
	} {
		panics(t, call)
	}
	if n := driver.QueuedWriters(d); n != 0 {
		t.Errorf("%d in the writers' queue", n)
	}
	if n := d.Stats().Connections; n != 1 {
		t.Errorf("%d connections", n)
	}
	mistaken = false
	mustFreeze(t, d, driver.FreezeOptions{Timeout: time.Second}).Thaw()
	if err := conn.(sqldriver.Pinger).Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
