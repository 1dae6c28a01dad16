package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

func TestRawReachesTheConnectionThroughAnInterceptorToo(t *testing.T) {
	for _, drv := range []string{driver.Name, "intercepted"} {
		path := filepath.Join(t.TempDir(), "x.sqlite3")
		db, err := sql.Open(drv, path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		conn, err := db.Conn(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		err = driver.Raw(conn, func(c *sqlite3.SQLiteConn) error {
			if got := c.GetFilename(""); got != path {
				t.Errorf("%s: file %s", drv, got)
			}
			d, _ := driver.Lookup(path)
			if _, err := d.Freeze(context.Background(), driver.FreezeOptions{Timeout: 1}); err == nil {
				t.Errorf("%s: frozen while Raw ran", drv)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", drv, err)
		}
	}
	plain, _ := sql.Open("sqlite3", ":memory:")
	defer plain.Close()
	conn, _ := plain.Conn(context.Background())
	defer conn.Close()
	if err := driver.Raw(conn, func(*sqlite3.SQLiteConn) error { return nil }); err == nil {
		t.Error("Raw took another driver's connection")
	}
}

// TestAPanicInRawThatSQLiteHadNoPartInClosesTheConnection rather than abandon it, still
// open.
func TestAPanicInRawThatSQLiteHadNoPartInClosesTheConnection(t *testing.T) {
	db, d := open(t, "", 1)
	before := driver.Abandoned()
	panics(t, func() {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		driver.Raw(conn, func(*sqlite3.SQLiteConn) error { panic("a user's mistake") })
	})
	if n := d.Stats().Connections; n != 0 || driver.Abandoned() != before {
		t.Errorf("%d connections, %d given up", n, driver.Abandoned()-before)
	}
}

// TestRawAfterACallWhoseContextHasEnded: SQLite says that it is interrupted until another
// statement begins; and with Rows open it is, which a function may not mind.
func TestRawAfterACallWhoseContextHasEnded(t *testing.T) {
	const endless = "WITH RECURSIVE n(i) AS (SELECT running() UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0"
	insert := func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, "INSERT INTO t (v) "+endless)
		return err
	}
	for name, call := range map[string]func(context.Context, *sql.Conn) error{
		"exec": insert,
		"query": func(ctx context.Context, conn *sql.Conn) error {
			return conn.QueryRowContext(ctx, endless).Scan(new(int))
		},
		"exec, with Rows open": func(ctx context.Context, conn *sql.Conn) error {
			rows, err := conn.QueryContext(context.Background(), "SELECT 1 UNION ALL SELECT 2")
			if err != nil {
				return err
			}
			t.Cleanup(func() { rows.Close() })
			rows.Next()
			return insert(ctx, conn)
		},
	} {
		for _, params := range []string{"", "&_mutex=no"} {
			ctx, cancel := context.WithCancel(t.Context())
			drv := register(t, driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
				return c.RegisterFunc("running", func() int { cancel(); return 1 }, false)
			}))
			db, err := sql.Open(drv, "file:"+filepath.Join(t.TempDir(), "x.sqlite3")+"?_journal=WAL"+params)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			mustExec(t, db, "CREATE TABLE t (v)")
			conn := connect(t, db)
			if err := call(ctx, conn); !errors.Is(err, context.Canceled) {
				t.Errorf("%s%s: %v", name, params, err)
			}
			for range 2 {
				called := false
				err := driver.Raw(conn, func(*sqlite3.SQLiteConn) error { called = true; return nil })
				if err != nil || !called {
					t.Errorf("%s%s: Raw: %v, called: %t", name, params, err, called)
				}
			}
		}
	}
}

// TestATransactionLocksWhatRawHasAttached, like one whose BEGIN is compiled after it.
func TestATransactionLocksWhatRawHasAttached(t *testing.T) {
	db, _ := open(t, "", 1)
	db.SetMaxOpenConns(1)
	begin := func() *sql.Tx {
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		return tx
	}
	begin().Rollback()
	side := filepath.Join(t.TempDir(), "side.sqlite3")
	conn := connect(t, db)
	err := driver.Raw(conn, func(c *sqlite3.SQLiteConn) error {
		_, err := c.Exec("ATTACH '"+side+"' AS side", nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	defer begin().Rollback()
	other, _ := sql.Open("sqlite3", "file:"+side+"?_busy_timeout=0")
	defer other.Close()
	if _, err := other.Exec("CREATE TABLE s (x)"); err == nil {
		t.Error("the attached file is not locked")
	}
}

// TestTheAgeOfARawTransactionCountsOverFreezes: with the gate open a look at what is held
// does not see it, once its owner has made a call, but it is the same one still.
func TestTheAgeOfARawTransactionCountsOverFreezes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, d := open(t, "", 1)
		defer db.Close()
		conn := connect(t, db)
		exec := func(text string) {
			t.Helper()
			if err := driver.Raw(conn, func(c *sqlite3.SQLiteConn) error { _, err := c.Exec(text, nil); return err }); err != nil {
				t.Fatal(err)
			}
		}
		held := func() driver.Holder {
			t.Helper()
			_, err := d.Freeze(t.Context(), driver.FreezeOptions{Timeout: time.Second})
			var held *driver.HeldError
			if !errors.As(err, &held) || len(held.Holders) != 1 {
				t.Fatalf("got %v", err)
			}
			return held.Holders[0]
		}
		exec("BEGIN IMMEDIATE")
		if h := held(); h.Kind != driver.HoldRaw || h.For > time.Second {
			t.Errorf("at first: %+v", h)
		}
		exec("INSERT INTO t VALUES (2, 'x')")
		time.Sleep(time.Hour)
		if all := d.Holders(); len(all) != 0 {
			t.Errorf("with the gate open: %+v", all)
		}
		if h := held(); h.Kind != driver.HoldRaw || h.For < time.Hour {
			t.Errorf("an hour later: %+v", h)
		}
		exec("COMMIT")
		exec("BEGIN")
		if h := held(); h.For > time.Second {
			t.Errorf("the next one: %+v", h)
		}
		exec("ROLLBACK")
		conn.Close()
	})
}
