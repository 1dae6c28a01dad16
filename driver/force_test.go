package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// TestAFreezeThatIsGivenUpInterruptsNothingThatBeginsAfterIt: not even where what it
// interrupted carried on, in a function called from SQL.
func TestAFreezeThatIsGivenUpInterruptsNothingThatBeginsAfterIt(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	name := register(t, driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		return c.RegisterFunc("pass", func(n int64) int64 { entered <- struct{}{}; <-leave; return n }, false)
	}))
	path := filepath.Join(t.TempDir(), "x.sqlite3")
	pool, err := sql.Open(name, "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	pool.SetMaxOpenConns(1)
	returned := make(chan error, 1)
	call := func() {
		go func() {
			var n int
			returned <- pool.QueryRow("SELECT n FROM (SELECT pass(1) AS n UNION ALL SELECT 2) ORDER BY n").Scan(&n)
		}()
		<-entered
	}
	call()
	d, _ := driver.Lookup(path)
	ctx, cancel := context.WithCancel(t.Context())
	_, err = d.Freeze(ctx, driver.FreezeOptions{Timeout: 10 * time.Millisecond, Force: true, Notify: func(e driver.FreezeEvent) {
		if e.Step == driver.FreezeGateClosed && e.Window >= time.Second { // by force
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	leave <- struct{}{}
	if err := <-returned; !errors.Is(err, driver.ErrForced) {
		t.Errorf("the call that was interrupted: %v", err)
	}
	for range 20 {
		call()
		leave <- struct{}{}
		if err := <-returned; err != nil {
			t.Fatalf("a call after it: %v", err)
		}
	}
}

// TestForceInterruptsAConnectionWithoutAMutex: its calls and the steps of its Rows are
// waited for no longer than others'.
func TestForceInterruptsAConnectionWithoutAMutex(t *testing.T) {
	t.Parallel()
	db, d := open(t, "&_mutex=no", 1)
	endless := "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n"
	for _, query := range []string{endless, "SELECT 1 UNION ALL SELECT * FROM (" + endless + ")"} {
		began, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			if query == endless {
				close(began)
				_, err := db.Exec(endless)
				ended <- err
				return
			}
			rows, err := db.Query(query)
			if err != nil {
				ended <- err
				return
			}
			defer rows.Close()
			rows.Next()
			close(began)
			rows.Next()
			ended <- rows.Err()
		}()
		<-began
		testenv.Until(t, "it runs", func() bool { return len(d.Holders()) == 1 })
		mustFreeze(t, d, driver.FreezeOptions{Timeout: 20 * time.Millisecond, Force: true}).Thaw()
		if err := <-ended; !errors.Is(err, driver.ErrForced) {
			t.Errorf("%s: %v", query, err)
		}
	}
}
