package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

// In these tests synctest's clock stands still while anything runs, so waits
// are exact.

func TestWhileSomethingIsHeldForLongOthersWaitOneWindowAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db, d := open(t, "", 10)
		rows, err := db.Query("SELECT id FROM t -- the report")
		if err != nil {
			t.Fatal(err)
		}
		rows.Next()
		ctx, cancel := context.WithCancel(t.Context())
		var longest time.Duration
		var calls int
		var wg sync.WaitGroup
		wg.Go(func() {
			for ctx.Err() == nil {
				start := time.Now()
				if _, err := db.Exec("INSERT INTO t (v) VALUES ('x')"); err != nil {
					t.Error(err)
				}
				longest = max(longest, time.Since(start))
				calls++
				time.Sleep(time.Millisecond)
			}
		})
		start := time.Now()
		_, err = d.Freeze(t.Context(), driver.FreezeOptions{Timeout: 10 * time.Second})
		var held *driver.HeldError
		if !errors.As(err, &held) || len(held.Holders) != 1 {
			t.Fatalf("got %v", err)
		}
		if waited := time.Since(start); waited != 10*time.Second {
			t.Errorf("gave up after %v", waited)
		}
		h := held.Holders[0]
		if h.Kind != driver.HoldRows || h.Query != "SELECT id FROM t -- the report" || h.For < 9*time.Second {
			t.Errorf("holder %+v", h)
		}
		cancel()
		wg.Wait()
		if longest > 5*time.Millisecond || calls < 9000 {
			t.Errorf("%d calls, the longest took %v", calls, longest)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
		mustFreeze(t, d, driver.FreezeOptions{}).Thaw()
		db.Close()
	})
}

func TestWhileACallTakesLongOthersWaitForSomeShortWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, release := make(chan struct{}), make(chan struct{})
		name := register(t, driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
			return c.RegisterFunc("take_long", func() int64 { close(began); <-release; return 1 }, false)
		}))
		path := filepath.Join(t.TempDir(), "x.sqlite3")
		db, err := sql.Open(name, "file:"+path+"?_journal=WAL")
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, db, "CREATE TABLE t (v)")
		d, _ := driver.Lookup(path)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { mustExec(t, db, "INSERT INTO t VALUES (take_long())") })
		<-began
		var longest, all time.Duration
		wg.Go(func() {
			for ctx.Err() == nil {
				start := time.Now()
				var n int
				if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
					t.Error(err)
				}
				longest, all = max(longest, time.Since(start)), all+time.Since(start)
				time.Sleep(time.Millisecond)
			}
		})
		go func() {
			time.Sleep(20 * time.Second)
			close(release)
		}()
		start := time.Now()
		f := mustFreeze(t, d, driver.FreezeOptions{})
		if took := time.Since(start); took < 20*time.Second || took > 20*time.Second+10*time.Millisecond {
			t.Errorf("frozen after %v", took)
		}
		f.Thaw()
		cancel()
		wg.Wait()
		t.Logf("a call waited %v, all together %v", longest, all)
		if longest > 200*time.Millisecond || all > 500*time.Millisecond {
			t.Errorf("a call waited %v, all together %v", longest, all)
		}
		db.Close()
	})
}

func TestAHoldThatEndsIsCaughtAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, d := open(t, "", 10)
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(3 * time.Second)
			tx.Commit()
		}()
		start := time.Now()
		f := mustFreeze(t, d, driver.FreezeOptions{})
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("frozen after %v, the transaction ended after 3s", took)
		}
		if f.Attempts < 2 || len(f.Holders) != 1 || f.Holders[0].Kind != driver.HoldTx {
			t.Errorf("%d attempts, holders %v", f.Attempts, f.Holders)
		}
		if pause := f.Thaw(); pause != 0 {
			t.Errorf("the gate was closed for %v although nothing was left to wait for", pause)
		}
		db.Close()
	})
}

func TestLoopsThatQueryInsideTheirRowsDrain(t *testing.T) {
	db, d := open(t, "", 10)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for ctx.Err() == nil {
				rows, err := db.Query("SELECT id FROM t")
				if err != nil {
					t.Error(err)
					return
				}
				for rows.Next() {
					var id int
					var v string
					if err := errors.Join(rows.Scan(&id), db.QueryRow("SELECT v FROM t WHERE id = ?", id).Scan(&v)); err != nil {
						t.Error(err)
					}
				}
				rows.Close()
			}
		})
	}
	for range 20 {
		f := mustFreeze(t, d, driver.FreezeOptions{Timeout: 20 * time.Second})
		f.Replaced()
		f.Thaw()
	}
	cancel()
	wg.Wait()
}

// TestAShortMaxPauseLeavesTheGateOpenForMostOfTheTime: windows that stay short are
// no reason to do without the rest between them.
func TestAShortMaxPauseLeavesTheGateOpenForMostOfTheTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db, d := open(t, "", 1)
		conn := connect(t, db)
		const whole = 2 * time.Second
		var wg sync.WaitGroup
		wg.Go(func() {
			driver.Raw(conn, func(*sqlite3.SQLiteConn) error { time.Sleep(whole); return nil })
		})
		synctest.Wait() // for Raw to have begun
		var waited time.Duration
		wg.Go(func() {
			for start := time.Now(); time.Since(start) < whole-10*time.Millisecond; time.Sleep(100 * time.Microsecond) {
				began := time.Now()
				mustExec(t, db, "DELETE FROM t")
				waited += time.Since(began)
			}
		})
		_, err := d.Freeze(t.Context(), driver.FreezeOptions{Timeout: whole - 10*time.Millisecond, MaxPause: 10 * time.Millisecond})
		if err == nil {
			t.Error("frozen")
		}
		wg.Wait()
		if waited > whole/3 {
			t.Errorf("calls waited for %v of %v", waited, whole)
		}
	})
}
