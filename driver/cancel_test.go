package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

const endless = "INSERT INTO t (v) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"

func TestTheEndOfAContextInterruptsAnExec(t *testing.T) {
	for _, params := range []string{"", "&_mutex=no", "&_stmt_cache_size=0"} {
		db, _ := open(t, params, 1)
		stmt, err := db.Prepare(endless)
		if err != nil {
			t.Fatal(err)
		}
		defer stmt.Close()
		for name, exec := range map[string]func(context.Context) error{
			"unprepared": func(ctx context.Context) error { _, err := db.ExecContext(ctx, endless); return err },
			"prepared":   func(ctx context.Context) error { _, err := stmt.ExecContext(ctx); return err },
			"several":    func(ctx context.Context) error { _, err := db.ExecContext(ctx, "SELECT 1; "+endless); return err },
		} {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
			if err := exec(ctx); err != context.DeadlineExceeded {
				t.Errorf("%s %s: %v", params, name, err)
			}
			cancel()
		}
		var n int
		if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 1 {
			t.Errorf("%s: %d rows, %v", params, n, err)
		}
	}
}

// TestAnInterruptThatIsLostIsRepeated: the context ends while the text is compiled, and
// the step that follows clears the interrupt.
func TestAnInterruptThatIsLostIsRepeated(t *testing.T) {
	t.Parallel()
	for _, params := range []string{"", "&_mutex=no", "&_stmt_cache_size=0"} {
		var compiled func()
		name := register(t, driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
			c.RegisterAuthorizer(func(int, string, string, string) int {
				if compiled != nil {
					compiled()
				}
				return sqlite3.SQLITE_OK
			})
			return nil
		}))
		pool, err := sql.Open(name, "file:"+filepath.Join(t.TempDir(), "x.sqlite3")+"?_journal=WAL"+params)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		pool.SetMaxOpenConns(1)
		mustExec(t, pool, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
		ctx, cancel := context.WithCancel(t.Context())
		compiled = func() {
			compiled = nil
			cancel()
			time.Sleep(10 * time.Millisecond) // for the first interrupts
		}
		ended := make(chan error, 1)
		go func() {
			_, err := pool.ExecContext(ctx, endless)
			ended <- err
		}()
		select {
		case err := <-ended:
			if err != context.Canceled {
				t.Errorf("%s: %v", params, err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: it runs on", params)
		}
	}
}

// TestAnInterruptHitsItsOwnCallOrNone cancels contexts at the very end of their calls.
// No call whose own context is alive may feel that, nor may Rows that are open on the
// same connection.
func TestAnInterruptHitsItsOwnCallOrNone(t *testing.T) {
	t.Parallel()
	db, _ := open(t, "", 50)
	db.SetMaxOpenConns(1)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	hit := 0
	for range 3000 {
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(cancel)
		if _, err := tx.ExecContext(ctx, "UPDATE t SET v = v || 'x' WHERE id % 7 = 1"); errors.Is(err, context.Canceled) {
			hit++
		} else if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec("UPDATE t SET v = 'y' WHERE id < 40"); err != nil {
			t.Fatalf("the call after a cancelled one: %v", err)
		}
		wg.Wait()
		var n int
		if err := tx.QueryRow("SELECT count(v) FROM t").Scan(&n); err != nil || n != 50 {
			t.Fatalf("%d, %v", n, err)
		}
	}
	t.Logf("%d of 3000 were interrupted", hit)
}

func TestACommitThatFailsLeavesNoTransaction(t *testing.T) {
	db, d := open(t, "&_foreign_keys=1", 1)
	mustExec(t, db, "CREATE TABLE child (id INTEGER REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("INSERT INTO child VALUES (99)"); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err == nil {
		t.Error("committed what breaks a foreign key")
	}
	mustExec(t, db, "INSERT INTO t (v) VALUES ('after')")
	mustFreeze(t, d, driver.FreezeOptions{Timeout: 50 * time.Millisecond}).Thaw()
}
