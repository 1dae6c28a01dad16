package driver_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/lognote"
	"hotswap/internal/testenv"
)

func TestAWaitAtTheGateHonoursItsContext(t *testing.T) {
	db, d := open(t, "", 1)
	conn := connect(t, db)
	stmt, err := conn.PrepareContext(context.Background(), "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	f := mustFreeze(t, d, driver.FreezeOptions{})
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	calls := map[string]func() error{
		"exec":     func() error { _, err := conn.ExecContext(ctx, "DELETE FROM t"); return err },
		"query":    func() error { _, err := conn.QueryContext(ctx, "SELECT 1"); return err },
		"prepare":  func() error { _, err := conn.PrepareContext(ctx, "SELECT 1"); return err },
		"begin":    func() error { _, err := conn.BeginTx(ctx, nil); return err },
		"ping":     func() error { return conn.PingContext(ctx) },
		"prepared": func() error { _, err := stmt.QueryContext(ctx); return err },
		"connect":  func() error { return db.PingContext(ctx) },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if w := d.Stats().Waiting; w != 0 {
		t.Errorf("%d calls still wait", w)
	}
	f.Thaw()
	var n int
	if err := conn.QueryRowContext(context.Background(), "SELECT count(*) FROM t").Scan(&n); err != nil || n != 1 {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}

func TestClosingThingsNeverWaits(t *testing.T) {
	db, d := open(t, "", 1)
	stmt, err := db.Prepare("SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	f := mustFreeze(t, d, driver.FreezeOptions{})
	if err := stmt.Close(); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if n := d.Stats().Connections; n != 0 {
		t.Errorf("%d connections after the pool was closed", n)
	}
	f.Thaw()
	if _, ok := driver.Lookup(d.Path()); ok {
		t.Error("still managed")
	}
}

func TestRawTransactionsDrainAndAreForcedLikeOthers(t *testing.T) {
	db, d := open(t, "", 1)
	ctx := context.Background()
	conn := connect(t, db)
	mustExec(t, conn, "BEGIN IMMEDIATE")
	mustExec(t, conn, "INSERT INTO t (v) VALUES ('half')")
	_, err := d.Freeze(ctx, driver.FreezeOptions{Timeout: 20 * time.Millisecond})
	var held *driver.HeldError
	if !errors.As(err, &held) || held.Attempts == 0 || held.Holders[0].Kind != driver.HoldRaw || !strings.HasPrefix(held.Holders[0].Query, "INSERT") {
		t.Fatalf("got %v", err)
	}
	f := mustFreeze(t, d, driver.FreezeOptions{Timeout: 20 * time.Millisecond, Force: true})
	if f.Connections != 1 {
		t.Errorf("%d connections", f.Connections)
	}
	f.Thaw()
	if _, err := conn.ExecContext(ctx, "INSERT INTO t (v) VALUES ('other half')"); !errors.Is(err, driver.ErrForced) {
		t.Errorf("a call of the lost transaction: %v", err)
	}
	if _, err := conn.ExecContext(ctx, "COMMIT"); !errors.Is(err, driver.ErrForced) {
		t.Errorf("its COMMIT: %v", err)
	}
	var n int
	if err := conn.QueryRowContext(ctx, "SELECT count(*) FROM t").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}

	mustExec(t, conn, "BEGIN")
	mustFreeze(t, d, driver.FreezeOptions{Timeout: 20 * time.Millisecond, Force: true}).Thaw()
	mustExec(t, conn, "ROLLBACK") // there is nothing left to roll back
	mustExec(t, conn, "INSERT INTO t (v) VALUES ('whole')")
}

func TestAForcedFreezeInterruptsARunningCall(t *testing.T) {
	began, done := make(chan struct{}), make(chan error)
	var once sync.Once
	name := register(t, driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		return c.RegisterFunc("tell", func(n int64) int64 { once.Do(func() { close(began) }); return n }, false)
	}))
	path := filepath.Join(t.TempDir(), "x.sqlite3")
	db, err := sql.Open(name, "file:"+path+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mustExec(t, db, "CREATE TABLE t (v); INSERT INTO t VALUES ('row 1')")
	d, _ := driver.Lookup(path)
	go func() {
		_, err := db.Exec("INSERT INTO t (v) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT tell(i) FROM n")
		done <- err
	}()
	<-began
	f := mustFreeze(t, d, driver.FreezeOptions{Timeout: 30 * time.Millisecond, Force: true})
	err = <-done
	var se sqlite3.Error
	if !errors.Is(err, driver.ErrForced) || !errors.As(err, &se) || se.Code != sqlite3.ErrInterrupt {
		t.Errorf("got %v", err)
	}
	f.Thaw()
	var n int
	if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestOneFreezeAtATime(t *testing.T) {
	_, d := open(t, "", 1)
	f := mustFreeze(t, d, driver.FreezeOptions{})
	if _, err := d.Freeze(context.Background(), driver.FreezeOptions{}); !errors.Is(err, driver.ErrFreezing) {
		t.Errorf("got %v", err)
	}
	f.Thaw()
	f.Thaw()
	mustFreeze(t, d, driver.FreezeOptions{}).Thaw()
}

func TestNothingIsOpenWhileFrozen(t *testing.T) {
	db, d := open(t, "&_stmt_cache_size=8", 5)
	old, _ := db.Prepare("SELECT v FROM t WHERE id = ?")
	defer old.Close()
	var v string
	for _, q := range []string{"SELECT v FROM t WHERE id = ?", "SELECT v FROM t WHERE id = ?; SELECT v FROM t WHERE id = ?"} {
		args := []any{1, 1}[:strings.Count(q, "?")]
		if err := db.QueryRow(q, args...).Scan(&v); err != nil {
			t.Fatal(err)
		}
	}
	f := mustFreeze(t, d, driver.FreezeOptions{})
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		testenv.Skip(t, "no /proc here")
	}
	for _, e := range entries {
		if to, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.HasPrefix(to, d.Path()) {
			t.Errorf("%s is open", to)
		}
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Stat(d.Path() + suffix); err == nil {
			t.Errorf("%s is still there", suffix)
		}
	}
	f.Thaw()
	if err := old.QueryRow(2).Scan(&v); err != nil || v != "row 2" {
		t.Error(v, err)
	}
}

func TestCallsThatWaitedAreLoggedWithoutTheirArguments(t *testing.T) {
	db, d := open(t, "", 1)
	var buf bytes.Buffer
	queued := make(chan struct{})
	log := zerolog.New(zerolog.SyncWriter(&buf)).Hook(zerolog.HookFunc(func(_ *zerolog.Event, _ zerolog.Level, text string) {
		if text == "call queued" {
			close(queued)
		}
	}))
	f := mustFreeze(t, d, driver.FreezeOptions{Logger: &log})
	done := make(chan error)
	go func() { _, err := db.Exec("INSERT INTO t (v) VALUES (?)", "secret"); done <- err }()
	<-queued
	f.Thaw()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, "INSERT INTO t (v) VALUES ('not queued')")
	lognote.Flush(time.Minute)
	out := buf.String()
	if strings.Count(out, "call queued") != 1 || strings.Count(out, "call resumed") != 1 || strings.Count(out, "INSERT INTO t (v) VALUES (?)") != 2 || strings.Contains(out, "secret") || strings.Contains(out, "not queued") {
		t.Errorf("log:\n%s", out)
	}
}

func TestOnSwapRunsOnceCallsFlowAndInOrder(t *testing.T) {
	db, d := open(t, "", 1)
	var got []uint64
	d.OnSwap(func(s driver.Swap) {
		var n int
		if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
			t.Error(err)
		}
		got = append(got, s.Generation)
	})
	d.OnSwap(func(driver.Swap) { panic("a user's mistake") })
	cancel := d.OnSwap(func(driver.Swap) { got = append(got, 0) })
	for i := range 2 {
		f := mustFreeze(t, d, driver.FreezeOptions{})
		f.Replaced()
		f.Thaw()
		if i == 0 {
			cancel()
		}
	}
	mustFreeze(t, d, driver.FreezeOptions{}).Thaw() // no swap
	if want := []uint64{2, 0, 3}; len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("callbacks saw %v, want %v", got, want)
	}
}

func TestAPanicInNotifyOpensTheGateAgain(t *testing.T) {
	db, d := open(t, "", 1)
	at := func(step driver.FreezeStep) driver.FreezeOptions {
		return driver.FreezeOptions{Notify: func(e driver.FreezeEvent) {
			if e.Step == step {
				panic("a user's mistake")
			}
		}}
	}
	for step, opts := range []driver.FreezeOptions{
		at(driver.FreezeWaiting), at(driver.FreezeGateClosed), at(driver.FreezeClosed),
		inside.Extend(driver.FreezeOptions{}, inside.FreezeOptions{WritesOnly: true, WritesWait: func() { panic("a mistake") }}),
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("step %d: no panic", step)
				}
			}()
			d.Freeze(t.Context(), opts)
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := db.ExecContext(ctx, "INSERT INTO t (v) VALUES ('x')"); err != nil {
			t.Fatalf("step %d, a call after it: %v", step, err)
		}
		if d.Stats().Frozen {
			t.Errorf("step %d: frozen", step)
		}
		mustFreeze(t, d, driver.FreezeOptions{}).Thaw()
	}
}

// TestACallbackThatEndsItsGoroutineKeepsNothing from the next one, nor the database from the
// next swap.
func TestACallbackThatEndsItsGoroutineKeepsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sqlite3")
	db, err := sql.Open(driver.Name, path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	d, _ := driver.Lookup(path)
	called := 0
	d.OnSwap(func(driver.Swap) { runtime.Goexit() })
	d.OnSwap(func(driver.Swap) { called++ })
	for n := range 3 {
		f := mustFreeze(t, d, driver.FreezeOptions{})
		f.Replaced()
		f.Thaw()
		if called != n+1 || f.OnSwapRuns {
			t.Errorf("after swap %d the other one was called %d times; one runs: %t", n+1, called, f.OnSwapRuns)
		}
	}
}

// TestAPanicInOnSwapIsLogged even where no swap has a logger.
func TestAPanicInOnSwapIsLogged(t *testing.T) {
	var log syncBuffer
	path := filepath.Join(t.TempDir(), "x.sqlite3")
	db, err := sql.Open(register(t, driver.WithLogger(zerolog.New(&log))), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	d, _ := driver.Lookup(path)
	d.OnSwap(func(driver.Swap) { panic("a user's mistake") })
	f := mustFreeze(t, d, driver.FreezeOptions{})
	f.Replaced()
	f.Thaw()
	lognote.Flush(time.Minute)
	if !strings.Contains(log.String(), "a user's mistake") {
		t.Errorf("log: %s", log.String())
	}
}
