package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

func TestReadOnlyAndImmutableNamesMeanWhatTheyDid(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.sqlite3")
	make, _ := sql.Open("sqlite3", path)
	mustExec(t, make, "CREATE TABLE t (x); INSERT INTO t VALUES (1)")
	make.Close()
	for _, params := range []string{"mode=ro", "immutable=1"} {
		db, err := sql.Open(driver.Name, "file:"+path+"?"+params)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if err := db.QueryRow("SELECT x FROM t").Scan(&n); err != nil {
			t.Error(params, err)
		}
		_, err = db.Exec("INSERT INTO t VALUES (2)")
		if se, ok := err.(sqlite3.Error); !ok || se.Code != sqlite3.ErrReadonly {
			t.Errorf("%s: a write: %v", params, err)
		}
		d, _ := driver.Lookup(path)
		swap(t, d)
		if _, err := db.Exec("INSERT INTO t VALUES (2)"); err == nil {
			t.Errorf("%s: writes after a swap", params)
		}
		db.Close()
	}
	db, _ := sql.Open(driver.Name, "file:"+filepath.Join(dir, "none.sqlite3")+"?mode=rw")
	defer db.Close()
	if err := db.Ping(); err == nil {
		t.Error("mode=rw made a file")
	}
	if _, err := os.Stat(filepath.Join(dir, "none.sqlite3")); err == nil {
		t.Error("mode=rw made a file")
	}
}

func TestHooksAndBackupsThroughRaw(t *testing.T) {
	db, d := open(t, "", 3)
	ctx := context.Background()
	conn := connect(t, db)
	updates := 0
	err := driver.Raw(conn, func(c *sqlite3.SQLiteConn) error {
		c.RegisterUpdateHook(func(int, string, string, int64) { updates++ })
		return c.RegisterFunc("thrice", func(n int64) int64 { return 3 * n }, true)
	})
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, conn, "INSERT INTO t (v) VALUES ('x')")
	var n int
	if err := conn.QueryRowContext(ctx, "SELECT thrice(5)").Scan(&n); err != nil || n != 15 || updates != 1 {
		t.Errorf("%d, %v, %d updates", n, err, updates)
	}
	copied := filepath.Join(t.TempDir(), "copy.sqlite3")
	err = driver.Raw(conn, func(src *sqlite3.SQLiteConn) error {
		opened, err := (&sqlite3.SQLiteDriver{}).Open(copied)
		if err != nil {
			return err
		}
		defer opened.Close()
		b, err := opened.(*sqlite3.SQLiteConn).Backup("main", src, "main")
		if err != nil {
			return err
		}
		if _, err := b.Step(-1); err != nil {
			return err
		}
		return b.Finish()
	})
	if err != nil {
		t.Fatal(err)
	}
	other, _ := sql.Open("sqlite3", copied)
	defer other.Close()
	if err := other.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 4 {
		t.Errorf("the copy has %d rows, %v", n, err)
	}
	// Documented: what Raw registered is lost, and nothing worse happens.
	swap(t, d)
	if err := conn.QueryRowContext(ctx, "SELECT thrice(5)").Scan(&n); err == nil {
		t.Error("the function is still there")
	}
}

// TestThePoolsOwnHabitsStay: lifetimes still close connections, one connection
// is still one, and no swap makes database/sql see ErrBadConn.
func TestThePoolsOwnHabitsStay(t *testing.T) {
	var opens atomic.Int64
	name := register(t, driver.WithConnectHook(func(*sqlite3.SQLiteConn) error { opens.Add(1); return nil }))
	path := filepath.Join(t.TempDir(), "x.sqlite3")
	db, err := sql.Open(name, "file:"+path+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	mustExec(t, db, "CREATE TABLE t (x)")
	d, _ := driver.Lookup(path)
	for range 5 {
		swap(t, d)
		mustExec(t, db, "INSERT INTO t VALUES (1)")
	}
	if s := db.Stats(); s.OpenConnections != 1 || s.MaxLifetimeClosed+s.MaxIdleClosed+s.MaxIdleTimeClosed != 0 || opens.Load() != 6 {
		t.Errorf("%+v after %d opens", s, opens.Load())
	}
	db.SetConnMaxLifetime(time.Nanosecond)
	mustExec(t, db, "INSERT INTO t VALUES (1)")
	mustExec(t, db, "INSERT INTO t VALUES (1)")
	if s := db.Stats(); s.MaxLifetimeClosed == 0 {
		t.Errorf("%+v with a lifetime of 1 ns", s)
	}
	db.SetConnMaxLifetime(0)
	db.SetMaxIdleConns(-1)
	mustExec(t, db, "INSERT INTO t VALUES (1)")
	if n := d.Stats().Connections; n != 0 {
		t.Errorf("%d connections with no idle ones allowed", n)
	}
	mustFreeze(t, d, driver.FreezeOptions{}).Thaw()
}

// TestStatementsOfAllConnectionsSurvive: database/sql prepares one statement on
// each connection that it is used on.
func TestStatementsOfAllConnectionsSurvive(t *testing.T) {
	db, d := open(t, "", 10)
	stmt, err := db.Prepare("SELECT v FROM t WHERE id = ?")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	db.SetMaxIdleConns(8)
	for range 20 {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				var v string
				if err := stmt.QueryRow(i + 1).Scan(&v); err != nil || v != fmt.Sprint("row ", i+1) {
					t.Error(v, err)
				}
			})
		}
		swap(t, d)
		wg.Wait()
	}
}

// TestAStatementClosedBeneathItsRows: database/sql closes a transaction's
// statements at its end, whatever is open on them.
func TestAStatementClosedBeneathItsRows(t *testing.T) {
	db, _ := open(t, "", 10)
	db.SetMaxOpenConns(1)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	stmt, err := tx.Prepare("SELECT id FROM t")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := stmt.Query()
	if err != nil {
		t.Fatal(err)
	}
	rows.Next()
	stmt.Close()
	// The closed statement's memory serves another: the rows must not see it.
	other, err := tx.Prepare("SELECT 'other' FROM t")
	if err != nil {
		t.Fatal(err)
	}
	var v string
	if err := other.QueryRow().Scan(&v); err != nil || v != "other" {
		t.Error(v, err)
	}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil || id == "other" {
			t.Error(id, err)
		}
	}
	rows.Close()
	if err := other.QueryRow().Scan(&v); err != nil || v != "other" {
		t.Error(v, err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
}

// TestAJournalModeInTheDSNIsSetByOneConnectionAlone: converting a file that has another
// mode needs it exclusively, or now and then the result is "database is locked".
func TestAJournalModeInTheDSNIsSetByOneConnectionAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.db")
	opening, goOn := make(chan struct{}, 2), make(chan struct{})
	drv := register(t, driver.WithConnectHook(func(*sqlite3.SQLiteConn) error {
		opening <- struct{}{}
		<-goOn
		return nil
	}))
	pool, err := sql.Open(drv, "file:"+path+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	ended := make(chan error, 2)
	for range 2 {
		go func() { ended <- pool.Ping() }()
	}
	within(t, "the first connection", opening)
	select {
	case <-opening:
		t.Error("a second connection is opened beside the first")
	case <-time.After(50 * time.Millisecond):
	}
	close(goOn)
	for range 2 {
		if err := within(t, "a connection", ended); err != nil {
			t.Error(err)
		}
	}
}
