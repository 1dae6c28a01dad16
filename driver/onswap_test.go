package driver_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

func TestAnOnSwapThatDoesNotReturnIsNamedAndHoldsUpNoCaller(t *testing.T) {
	defer driver.SetOnSwapPatience(time.Millisecond)()
	db, d := open(t, "", 1)
	var log lines
	logger := zerolog.New(&log)
	end := make(chan struct{})
	defer d.OnSwap(func(driver.Swap) { <-end })()
	f := mustFreeze(t, d, driver.FreezeOptions{Logger: &logger})
	f.Replaced()
	f.Thaw()
	if !f.OnSwapRuns {
		t.Error("the freeze does not say so")
	}
	if said := log.with("an OnSwap callback has not returned"); len(said) != 1 {
		t.Errorf("it is logged %d times: %s", len(said), said)
	}
	mustExec(t, db, "INSERT INTO t (v) VALUES ('x')")
	if s := d.Stats(); s.OnSwap <= 0 || s.Frozen {
		t.Errorf("the statistics say %+v", s)
	}
	if _, err := d.Freeze(t.Context(), driver.FreezeOptions{}); !errors.Is(err, driver.ErrFreezing) || !strings.Contains(err.Error(), "OnSwap callbacks") {
		t.Errorf("the next freeze: %v", err)
	}
	close(end)
	testenv.Until(t, "the callback has returned", func() bool { return d.Stats().OnSwap == 0 })
	mustFreeze(t, d, driver.FreezeOptions{}).Thaw()
}

func TestAnOnSwapThatDoesNotReturnIsNamedAfterAMoveToo(t *testing.T) {
	defer driver.SetOnSwapPatience(time.Millisecond)()
	var log lines
	path := filepath.Join(t.TempDir(), "live.sqlite3")
	db, err := sql.Open(register(t, driver.WithLogger(zerolog.New(&log))), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mustExec(t, db, "CREATE TABLE t (v)")
	d, _ := driver.Lookup(path)
	end := make(chan struct{})
	defer close(end)
	defer d.OnSwap(func(driver.Swap) { <-end })()
	other := filepath.Join(t.TempDir(), "other.sqlite3")
	plain, err := sql.Open("sqlite3", other)
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, plain, "CREATE TABLE t (v)")
	plain.Close()
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	testenv.Until(t, "the log names the callback", func() bool {
		mustExec(t, db, "SELECT 1")
		return len(log.with("an OnSwap callback has not returned")) == 1
	})
}

func TestTheLatestSwapsAreRememberedOldestFirst(t *testing.T) {
	_, d := open(t, "", 1)
	if last := d.LastSwaps(); len(last) != 0 {
		t.Errorf("before the first: %+v", last)
	}
	mustFreeze(t, d, driver.FreezeOptions{}).Thaw() // replaced nothing
	const swaps = 40
	var pauses []time.Duration
	for range swaps {
		f := mustFreeze(t, d, driver.FreezeOptions{})
		f.Replaced()
		pauses = append(pauses, f.Thaw())
	}
	last, stats := d.LastSwaps(), d.Stats()
	if len(last) != 32 || stats.Swaps != swaps {
		t.Fatalf("%d of %d swaps", len(last), stats.Swaps)
	}
	for i, swap := range last {
		n := swaps - len(last) + i
		if swap.Generation != uint64(n+2) || swap.Pause != pauses[n] || swap.Path != d.Path() || i > 0 && swap.At.Before(last[i-1].At) {
			t.Errorf("swap %d: %+v, with a pause of %s", n, swap, pauses[n])
		}
	}
	if newest := last[len(last)-1]; !stats.LastSwap.Equal(newest.At) || stats.LastPause != newest.Pause || stats.LongestPause != slices.Max(pauses) {
		t.Errorf("the counters %+v are not of %+v", stats, newest)
	}
}
