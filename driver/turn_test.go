package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/inside"
)

// inTurn adds to the options that a freeze waits its turn, as those of pushes do.
func inTurn(opts driver.FreezeOptions) driver.FreezeOptions {
	return inside.Extend(opts, inside.FreezeOptions{InTurn: true})
}

func TestFreezesThatWaitTheirTurnCloseFewGatesAtOnce(t *testing.T) {
	dir := t.TempDir()
	var dbs []*driver.Database
	for i := range 40 {
		path := filepath.Join(dir, fmt.Sprint(i))
		pool, err := sql.Open(driver.Name, path)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		mustExec(t, pool, "CREATE TABLE t (v)")
		d, ok := driver.Lookup(path)
		if !ok {
			t.Fatal("not managed")
		}
		dbs = append(dbs, d)
	}
	// One is held: its gate opens and closes, and it costs nobody a turn.
	pool, held := open(t, "", 1)
	rows, err := pool.Query("SELECT * FROM t")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var heldErr error
	heldEnded := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	reopened := make(chan struct{}, 100)
	go func() {
		defer close(heldEnded)
		_, heldErr = held.Freeze(ctx, inTurn(driver.FreezeOptions{Notify: func(e driver.FreezeEvent) {
			if e.Step == driver.FreezeGateReopened {
				select {
				case reopened <- struct{}{}:
				default:
				}
			}
		}}))
	}()
	<-reopened

	var closed, most atomic.Int64
	var all sync.WaitGroup
	for _, d := range dbs {
		all.Go(func() {
			in := false
			f, err := d.Freeze(t.Context(), inTurn(driver.FreezeOptions{Notify: func(e driver.FreezeEvent) {
				switch {
				case e.Step == driver.FreezeGateClosed && !in:
					in = true
					if n := closed.Add(1); n > most.Load() {
						most.Store(n)
					}
				case e.Step == driver.FreezeGateReopened && in:
					in = false
					closed.Add(-1)
				}
			}}))
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(time.Millisecond) // long enough for the others to come in
			closed.Add(-1)
			f.Thaw()
		})
	}
	all.Wait()
	if limit := int64(max(2, min(runtime.GOMAXPROCS(0), 8))); most.Load() > limit {
		t.Errorf("%d gates were closed at once", most.Load())
	}
	cancel()
	<-heldEnded
	if !errors.Is(heldErr, context.Canceled) {
		t.Errorf("the held one: %v", heldErr)
	}
	for range 20 { // every turn was given back
		f := mustFreeze(t, dbs[0], inTurn(driver.FreezeOptions{}))
		f.Thaw()
	}
}

func TestFreezeThatWaitsItsTurnClosesNoGateAndHeedsItsContext(t *testing.T) {
	var frozen []*driver.Frozen
	for range max(2, min(runtime.GOMAXPROCS(0), 8)) {
		_, d := open(t, "", 1)
		f := mustFreeze(t, d, inTurn(driver.FreezeOptions{}))
		defer f.Thaw()
		frozen = append(frozen, f)
	}
	db, d := open(t, "", 1)
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan struct{})
	ended := make(chan error)
	freeze := func(ctx context.Context, timeout time.Duration) {
		_, err := d.Freeze(ctx, inTurn(driver.FreezeOptions{Timeout: timeout, Notify: func(e driver.FreezeEvent) {
			if e.Step == driver.FreezeWaiting {
				waiting <- struct{}{}
			}
		}}))
		ended <- err
	}
	go freeze(ctx, 0)
	<-waiting
	mustExec(t, db, "INSERT INTO t (v) VALUES ('not queued')")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	go freeze(t.Context(), time.Millisecond)
	<-waiting
	if err := <-ended; !errors.Is(err, driver.ErrFreezing) {
		t.Errorf("got %v", err)
	}
	mustFreeze(t, d, driver.FreezeOptions{}).Thaw() // without a turn it waits for none
	frozen[0].Thaw()
	mustFreeze(t, d, inTurn(driver.FreezeOptions{})).Thaw()
}

func TestAFreezeInTurnNeedsNoTimeIfItIsItsTurn(t *testing.T) {
	_, d := open(t, "", 1)
	for range 50 {
		f, err := d.Freeze(t.Context(), inTurn(driver.FreezeOptions{Timeout: time.Nanosecond, Force: true}))
		if err != nil {
			t.Fatal(err)
		}
		f.Thaw()
	}
}
