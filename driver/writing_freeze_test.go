package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// TestAFreezePassesTheQueue: whoever gets the place while the gate is closed to it does not
// keep it from a transaction that is to end.
func TestAFreezePassesTheQueue(t *testing.T) {
	immediate, deferred, d := openTwo(t)
	tx := hold(t, immediate)
	var calls []<-chan error
	queue := func(call func() error) {
		calls = append(calls, start(call))
		testenv.Until(t, "one more queues", func() bool { return driver.WaitingWriters(d) == len(calls) })
	}
	for _, kind := range []string{"Exec", "Query", "Tx", "Exec"} {
		queue(func() error { return writes[kind](deferred) })
	}
	queue(func() error {
		tx, err := immediate.Begin()
		if err != nil {
			return err
		}
		return tx.Commit()
	})
	var once sync.Once
	committed := make(chan error, 1)
	frozen := make(chan error, 1)
	var f *driver.Frozen
	go func() {
		var err error
		f, err = d.Freeze(context.Background(), driver.FreezeOptions{Timeout: 20 * time.Second, Notify: func(e driver.FreezeEvent) {
			if e.Step == driver.FreezeGateClosed {
				once.Do(func() { go func() { committed <- tx.Commit() }() })
			}
		}})
		frozen <- err
	}()
	if err := soon(t, "the freeze", frozen); err != nil {
		t.Fatal(err)
	}
	testenv.Until(t, "nobody has the place who waits at the gate", func() bool { return driver.QueuedWriters(d) == 0 })
	if err := <-committed; err != nil {
		t.Error(err)
	}
	f.Replaced()
	f.Thaw()
	for _, call := range calls {
		if err := soon(t, "a call", call); err != nil {
			t.Error(err)
		}
	}
	if n := driver.QueuedWriters(d); n != 0 {
		t.Error("the place is still taken")
	}
}

// TestAForcedFreezePassesTheQueue, of those that have the place and of those that wait.
func TestAForcedFreezePassesTheQueue(t *testing.T) {
	immediate, deferred, d := openTwo(t)
	ctx := context.Background()
	for name, hold := range map[string]func(){
		"Tx":   func() { mustExec(t, hold(t, immediate), insert) },
		"Rows": func() { t.Cleanup(closing(deferred.QueryContext(ctx, insert+" RETURNING v"))) },
	} {
		hold()
		waits := start(func() error { return writes["Exec"](deferred) })
		testenv.Until(t, "one queues", func() bool { return driver.WaitingWriters(d) == 1 })
		held := start(func() error { return writes["Tx"](deferred) })
		testenv.Until(t, "two queue", func() bool { return driver.WaitingWriters(d) == 2 })
		f := mustFreeze(t, d, driver.FreezeOptions{Timeout: time.Millisecond, Force: true})
		// Those that wait get the place in turn, but find the gate shut.
		testenv.Until(t, name+": the place is free", func() bool { return driver.QueuedWriters(d) == 0 })
		f.Thaw()
		if err := soon(t, "the call", waits); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// It may have got the place, and ended, before the freeze took it.
		if err := soon(t, "the transaction", held); err != nil && !errors.Is(err, driver.ErrForced) {
			t.Errorf("%s: %v", name, err)
		}
		if n := driver.QueuedWriters(d); n != 0 {
			t.Errorf("%s: the place is still taken", name)
		}
	}
}

func closing(rows *sql.Rows, err error) func() {
	return func() {
		if err == nil {
			rows.Close()
		}
	}
}

// TestWritersOfAllKinds hammers a database through swaps with all ways to write, in the
// queue and beside it. None is busy, none is lost, none done twice.
func TestWritersOfAllKinds(t *testing.T) {
	immediate, d := open(t, "&_sync=OFF", 1)
	deferred, err := sql.Open(driver.Name, "file:"+d.Path()+"?_sync=OFF")
	if err != nil {
		t.Fatal(err)
	}
	defer deferred.Close()
	byText := func(begin, end string) func(context.Context) error {
		return func(ctx context.Context) error {
			conn, err := deferred.Conn(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := conn.ExecContext(context.Background(), begin); err != nil {
				return err
			}
			_, err = conn.ExecContext(context.Background(), insert)
			_, endErr := conn.ExecContext(context.Background(), end)
			return errors.Join(err, endErr)
		}
	}
	kinds := []func(context.Context) error{
		byText("BEGIN", "COMMIT"),
		byText("BEGIN IMMEDIATE", "COMMIT"),
		func(ctx context.Context) error { _, err := deferred.ExecContext(ctx, insert); return err },
		func(ctx context.Context) error {
			var v string
			return deferred.QueryRowContext(ctx, insert+" RETURNING v").Scan(&v)
		},
		func(ctx context.Context) error {
			var n int
			return immediate.QueryRowContext(context.Background(), "SELECT count(*) FROM t").Scan(&n)
		},
	}
	wrote := map[int]bool{0: true, 1: true, 2: true, 3: true, 5: true, 6: true}
	for _, db := range []*sql.DB{immediate, deferred} {
		kinds = append(kinds, func(ctx context.Context) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			defer tx.Rollback()
			if _, err := tx.ExecContext(ctx, insert); err != nil {
				return err
			}
			return tx.Commit()
		})
	}
	var done atomic.Int64
	var wg sync.WaitGroup
	over := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for range testenv.Sample(400, 2000) {
				kind := rand.N(len(kinds))
				ctx, cancel := context.WithCancel(context.Background())
				cancels := rand.N(5) == 0 && kind != 3 // of QueryRow it is unknown whether it was done
				if cancels {
					time.AfterFunc(rand.N(200*time.Microsecond), cancel)
				}
				err := kinds[kind](ctx)
				cancel()
				if err == nil && wrote[kind] {
					done.Add(1)
				}
				if err != nil && !(cancels && (errors.Is(err, context.Canceled) || errors.Is(err, sql.ErrTxDone))) {
					t.Errorf("kind %d: %v", kind, err)
				}
			}
		})
	}
	go func() { wg.Wait(); close(over) }()
	for running := true; running; {
		select {
		case <-over:
			running = false
		default:
			swap(t, d)
		}
	}
	var n int64
	if err := immediate.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 1+done.Load() {
		t.Errorf("%d rows, %v; %d were written", n, err, 1+done.Load())
	}
	if driver.QueuedWriters(d) != 0 || driver.WaitingWriters(d) != 0 {
		t.Errorf("at the end %d have the place and %d wait", driver.QueuedWriters(d), driver.WaitingWriters(d))
	}
}
