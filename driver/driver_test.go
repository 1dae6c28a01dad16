package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/testenv"
)

// open returns a pool on a new database with a table t of n rows.
func open(t testing.TB, params string, n int) (*sql.DB, *driver.Database) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "live.sqlite3")
	db, err := sql.Open(driver.Name, "file:"+path+"?_journal=WAL&_txlock=immediate"+params)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
	for i := range n {
		mustExec(t, db, "INSERT INTO t VALUES (?, ?)", i+1, fmt.Sprint("row ", i+1))
	}
	d, ok := driver.Lookup(path)
	if !ok {
		t.Fatalf("%s is not managed", path)
	}
	return db, d
}

var registered atomic.Int64

// register registers a driver under a name of its own, and returns that.
func register(t *testing.T, opts ...driver.Option) string {
	t.Helper()
	name := fmt.Sprint(t.Name(), registered.Add(1))
	sql.Register(name, driver.New(opts...))
	return name
}

type execer interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}

func mustExec(t testing.TB, db execer, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(context.Background(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// connect takes a connection from the pool for the test.
func connect(t testing.TB, db *sql.DB) *sql.Conn {
	t.Helper()
	conn, err := db.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func mustFreeze(t testing.TB, d *driver.Database, opts driver.FreezeOptions) *driver.Frozen {
	t.Helper()
	f, err := d.Freeze(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestCallsWaitForTheThawAndNoneFails hammers one database with all kinds of
// calls through a hundred freezes.
func TestCallsWaitForTheThawAndNoneFails(t *testing.T) {
	t.Parallel()
	db, d := open(t, "", 20)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var calls atomic.Int64
	work := func(f func() error) {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := f(); err != nil {
					t.Error(err)
					return
				}
				calls.Add(1)
			}
		})
	}
	var n int
	old, err := db.Prepare("SELECT count(*) FROM t WHERE id > ?")
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	pinned := connect(t, db)
	work(func() error { var n int; return db.QueryRow("SELECT count(*) FROM t").Scan(&n) })
	work(func() error { _, err := db.Exec("INSERT INTO t (v) VALUES (?)", "x"); return err })
	work(func() error { var n int; return old.QueryRow(3).Scan(&n) })
	work(func() error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.Exec("INSERT INTO t (v) VALUES ('tx')"); err != nil {
			return err
		}
		return tx.Commit()
	})
	work(func() error {
		for _, q := range []string{"BEGIN IMMEDIATE", "INSERT INTO t (v) VALUES ('raw')", "COMMIT"} {
			if _, err := pinned.ExecContext(context.Background(), q); err != nil {
				return fmt.Errorf("%s: %w", q, err)
			}
		}
		return nil
	})
	work(func() error {
		rows, err := db.Query("SELECT id FROM t LIMIT 20")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id int
			if err := rows.Scan(&id); err != nil {
				return err
			}
			var v string
			if err := db.QueryRow("SELECT v FROM t WHERE id = ?", id).Scan(&v); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	swaps := testenv.Sample(40, 100)
	for range swaps {
		f := mustFreeze(t, d, driver.FreezeOptions{})
		f.Replaced()
		f.Thaw()
		if _, err := inside.Of(d).Reconnect(); err != nil {
			t.Error(err)
		}
	}
	cancel()
	wg.Wait()
	if g := d.Generation(); g != uint64(swaps)+1 {
		t.Errorf("generation is %d after %d swaps", g, swaps)
	}
	s := d.Stats()
	t.Logf("%d calls, longest pause %v, %+v", calls.Load(), s.LongestPause, s)
	if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
		t.Fatal(err)
	}
}
