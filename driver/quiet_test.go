package driver_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hotswap/driver"
	"hotswap/internal/inside"
)

func TestInQuietReadsGoOnAndWritesWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db, d := open(t, "", 10)
		const took = 40 * time.Millisecond
		f := mustFreeze(t, d, inside.Extend(driver.FreezeOptions{}, inside.FreezeOptions{Quiet: func(ctx context.Context, hold func() bool) error {
			if _, err := db.Exec("INSERT INTO t (v) VALUES ('x')"); err != nil {
				t.Errorf("a write, before they are held: %v", err)
			}
			time.Sleep(100 * time.Millisecond)
			if !hold() {
				t.Error("something holds a transaction open")
			}
			began := time.Now()
			var n int
			if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || time.Since(began) > 0 {
				t.Errorf("a read: %v, after %v", err, time.Since(began))
			}
			for _, write := range []func(context.Context) error{
				func(ctx context.Context) error {
					_, err := db.ExecContext(ctx, "INSERT INTO t (v) VALUES ('x')")
					return err
				},
				func(ctx context.Context) error { _, err := db.BeginTx(ctx, nil); return err },
			} {
				impatient, cancel := context.WithTimeout(ctx, took/2)
				if err := write(impatient); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a write: %v", err)
				}
				cancel()
			}
			return nil
		}}))
		time.Sleep(time.Millisecond)
		inside.OfFrozen(f).ThawThen(func(thawed inside.Thawed) {
			if thawed.Pause != time.Millisecond || thawed.WritesPause != took+thawed.Pause {
				t.Errorf("the pause is %v, that of writes %v", thawed.Pause, thawed.WritesPause)
			}
		})
		db.Close()
	})
}

// TestACallThatDoesNotComeToRunIsNotWaitingForTheNextSwap: it was let go by the one
// before, or by a pause of writes, while others have the processors.
func TestACallThatDoesNotComeToRunIsNotWaitingForTheNextSwap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db, d := open(t, "", 10)
		driver.LeaveWaiting(d, 1)
		defer driver.LeaveWaiting(d, -1)
		f := mustFreeze(t, d, inside.Extend(driver.FreezeOptions{}, inside.FreezeOptions{Quiet: func(context.Context, func() bool) error {
			time.Sleep(100 * time.Millisecond)
			return nil
		}}))
		time.Sleep(time.Millisecond)
		if pause := f.Thaw(); pause != time.Millisecond {
			t.Errorf("the pause is %v", pause)
		}
		db.Close()
	})
}

func TestMaxPauseBoundsTheWaitOfWritesInQuiet(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db, d := open(t, "", 10)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		hold := func() { // for longer than any attempt, and again
			rows, err := db.Query("SELECT id FROM t -- the report")
			if err != nil {
				t.Error(err)
				return
			}
			rows.Next()
			time.Sleep(150 * time.Millisecond)
			rows.Close()
		}
		var longest time.Duration
		for _, call := range []func(){hold, hold, func() {
			began := time.Now()
			if _, err := db.Exec("INSERT INTO t (v) VALUES ('x')"); err != nil {
				t.Error(err)
			}
			longest = max(longest, time.Since(began))
			time.Sleep(time.Millisecond)
		}} {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						call()
					}
				}
			})
		}
		attempts := 0
		const most = 100 * time.Millisecond
		f, err := d.Freeze(t.Context(), inside.Extend(driver.FreezeOptions{MaxPause: most, Timeout: 5 * time.Second}, inside.FreezeOptions{Quiet: func(ctx context.Context, hold func() bool) error {
			attempts++
			hold()
			<-ctx.Done() // as long as it may
			return nil
		}}))
		if err == nil {
			f.Thaw()
		} else if held := (*driver.HeldError)(nil); !errors.As(err, &held) {
			t.Fatal(err)
		}
		close(stop)
		wg.Wait()
		if longest > most || longest < most/2 || attempts == 0 {
			t.Errorf("in %d attempts a write waited for %v", attempts, longest)
		}
		db.Close()
	})
}

func TestAnErrorOfQuietEndsTheFreeze(t *testing.T) {
	t.Parallel()
	db, d := open(t, "", 2)
	defer db.Close()
	disk := errors.New("the disk")
	_, err := d.Freeze(t.Context(), inside.Extend(driver.FreezeOptions{}, inside.FreezeOptions{Quiet: func(context.Context, func() bool) error { return disk }}))
	if !errors.Is(err, disk) {
		t.Errorf("got %v", err)
	}
	if _, err := db.Exec("INSERT INTO t (v) VALUES ('x')"); err != nil {
		t.Error(err)
	}
}
