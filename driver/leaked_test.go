package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// leaks are queries whose Rows are dropped, on a table with several rows. Those of a Stmt,
// and those whose context can end, database/sql itself keeps.
var leaks = map[string]func(*sql.DB) (*sql.Rows, error){
	"a query": func(db *sql.DB) (*sql.Rows, error) { return db.Query("SELECT v FROM t") },
	"a query of a kept statement": func(db *sql.DB) (*sql.Rows, error) {
		for range 3 {
			if err := db.QueryRow("SELECT id FROM t").Scan(new(int)); err != nil {
				return nil, err
			}
		}
		return db.Query("SELECT id FROM t")
	},
	"a write": func(db *sql.DB) (*sql.Rows, error) {
		return db.Query("INSERT INTO t (v) VALUES ('a'), ('b') RETURNING v")
	},
	"rows that are ahead of their reader": func(db *sql.DB) (rows *sql.Rows, err error) {
		if _, err := db.Exec("WITH RECURSIVE i(n) AS (SELECT 10 UNION ALL SELECT n+1 FROM i WHERE n < 1000) INSERT OR IGNORE INTO t SELECT n, n FROM i"); err != nil {
			return nil, err
		}
		for reads := range 4 {
			if rows, err = db.Query("SELECT id FROM t"); err != nil {
				return nil, err
			}
			for n := 0; n < 980 || reads < 3; n++ {
				if !rows.Next() {
					break
				}
			}
		}
		return rows, rows.Err()
	},
	"two on a connection": func(db *sql.DB) (*sql.Rows, error) {
		c, err := db.Conn(context.Background())
		if err != nil {
			return nil, err
		}
		if rows, err := c.QueryContext(context.Background(), "SELECT v FROM t"); err != nil || !rows.Next() {
			return nil, errors.Join(err, errors.New("no row"))
		}
		return c.QueryContext(context.Background(), "SELECT v FROM t")
	},
}

// leak is not inlined, so that nothing is left of the Rows on its caller's stack.
//
//go:noinline
func leak(t *testing.T, db *sql.DB, query func(*sql.DB) (*sql.Rows, error)) {
	t.Helper()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Raw(func(c any) error { // which the pool would never close
		t.Cleanup(func() { c.(io.Closer).Close() })
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	rows, err := query(db)
	if err != nil {
		t.Fatal(err)
	}
	if !rows.Next() {
		t.Fatal(rows.Err())
	}
}

// openDelete is open with a rollback journal: a reader keeps writers out.
func openDelete(t *testing.T) (ours *sql.DB, d *driver.Database, other *sql.DB) {
	t.Helper()
	db, d := open(t, "", 3)
	path := d.Path()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	pools := [2]*sql.DB{}
	for i, name := range []string{driver.Name, "sqlite3"} {
		pool, err := sql.Open(name, "file:"+path+"?_journal=DELETE&_busy_timeout=1")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { pool.Close() })
		pools[i] = pool
	}
	mustExec(t, pools[0], "PRAGMA user_version = 1")
	if d, _ = driver.Lookup(path); d == nil {
		t.Fatal("not managed")
	}
	return pools[0], d, pools[1]
}

func TestLeakedRowsKeepNeitherWritersNorASwap(t *testing.T) {
	t.Parallel()
	for what, query := range leaks {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			db, d, other := openDelete(t)
			connect(t, db) // a lone connection does not queue
			leak(t, db, query)
			if _, err := other.Exec("UPDATE t SET v = 'written'"); !isBusyError(err) {
				t.Fatalf("beside open Rows: %v", err)
			}
			testenv.Until(t, "others can write", func() bool {
				runtime.GC()
				_, err := other.Exec("UPDATE t SET v = 'written'")
				return err == nil
			})
			testenv.Until(t, "nothing holds it", func() bool { return len(d.Holders()) == 0 && driver.QueuedWriters(d) == 0 })

			leak(t, db, query)
			frozen := make(chan error, 1)
			go func() {
				f, err := d.Freeze(t.Context(), driver.FreezeOptions{Timeout: 20 * time.Second})
				if err == nil {
					f.Thaw()
				}
				frozen <- err
			}()
			testenv.Until(t, "a freeze", func() bool {
				runtime.GC()
				select {
				case err := <-frozen:
					if err != nil {
						t.Error(err)
					}
					return true
				default:
					return false
				}
			})
			mustExec(t, db, "UPDATE t SET v = 'ours'")
		})
	}
}

// TestLeakedRowsOfADatabaseThatIsNotManagedEnd: with a shared cache a reader keeps writers
// from its table.
func TestLeakedRowsOfADatabaseThatIsNotManagedEnd(t *testing.T) {
	t.Parallel()
	needsSharedCache(t)
	pool := func() *sql.DB {
		db, err := sql.Open(driver.Name, "file:"+t.Name()+"?mode=memory&cache=shared")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return db
	}
	db, other := pool(), pool()
	mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)")
	mustExec(t, db, "INSERT INTO t (v) VALUES ('a'), ('b')")
	leak(t, db, leaks["a query"])
	if _, err := other.Exec("DELETE FROM t"); err == nil {
		t.Fatal("written beside open Rows")
	}
	testenv.Until(t, "others can write", func() bool {
		runtime.GC()
		_, err := other.Exec("DELETE FROM t")
		return err == nil
	})
}

func isBusyError(err error) bool { return err != nil && err.Error() == "database is locked" }

// TestRowsInUseAreNotTakenForLeaked: what stands in for Rows is not seen, be they read to
// their end, closed, or forced to end, with others before and behind them.
func TestRowsInUseAreNotTakenForLeaked(t *testing.T) {
	t.Parallel()
	db, d, other := openDelete(t)
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	look := func() {
		driver.EndLeaked(d)
		runtime.GC()
		driver.EndLeaked(d)
	}
	stmt, err := c.PrepareContext(t.Context(), "SELECT id FROM t")
	if err != nil {
		t.Fatal(err)
	}
	var all []*sql.Rows
	for _, query := range []func() (*sql.Rows, error){
		func() (*sql.Rows, error) { return c.QueryContext(context.Background(), "SELECT id FROM t") },
		func() (*sql.Rows, error) { return stmt.QueryContext(context.Background()) },
		func() (*sql.Rows, error) {
			return c.QueryContext(context.Background(), "SELECT id FROM t WHERE id > 0")
		},
	} {
		rows, err := query()
		if err != nil || !rows.Next() {
			t.Fatal(err)
		}
		all = append(all, rows)
		look()
	}
	if err := stmt.Close(); err != nil {
		t.Error(err)
	}
	look()
	if h := d.Holders(); len(h) != 1 || h[0].Kind != driver.HoldRows || h[0].Query != "SELECT id FROM t WHERE id > 0" {
		t.Errorf("%+v", h)
	}
	var ids []int
	for all[0].Next() {
		var id int
		if err := all[0].Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
		look()
	}
	if len(ids) != 2 || all[0].Err() != nil {
		t.Errorf("%v, %v", ids, all[0].Err())
	}
	if all[1].Next() { // finalized by the Close of its statement, as in go-sqlite3
		t.Error("a row")
	}
	if _, err := other.Exec("DELETE FROM t"); !isBusyError(err) {
		t.Errorf("beside open Rows: %v", err)
	}
	f, err := d.Freeze(t.Context(), driver.FreezeOptions{Timeout: time.Millisecond, Force: true})
	if err != nil {
		t.Fatal(err)
	}
	f.Thaw()
	if all[2].Next() || !errors.Is(all[2].Err(), driver.ErrForced) {
		t.Error(all[2].Err())
	}
	if err := all[2].Close(); err != nil {
		t.Error(err)
	}
	for range 3 { // on structs that were used before
		rows, err := c.QueryContext(context.Background(), "SELECT id FROM t")
		if err != nil {
			t.Fatal(err)
		}
		look()
		if !rows.Next() || rows.Close() != nil {
			t.Error(rows.Err())
		}
	}
	if h := d.Holders(); len(h) != 0 {
		t.Errorf("%+v", h)
	}
}
