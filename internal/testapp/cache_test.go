package testapp

import (
	"context"
	"slices"
	"testing"

	"hotswap/driver"
)

func TestCacheIsDroppedBeforePushReturns(t *testing.T) {
	if !alone(t) {
		return
	}
	f := Fixture{Size: 1, JournalMode: "wal"}
	r := startRun(t, f, Config{Interval: never})
	cached := func() Seen {
		t.Helper()
		seen, err := r.svc.cachedStamps(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	for g := uint64(1); g <= 3; g++ {
		for range 2 {
			if got := cached(); got.Low != g {
				t.Errorf("generation %d was asked, and %d answered", g, got.Low)
			}
		}
		if got := r.svc.Cache().Len(); got != 1 {
			t.Errorf("the cache holds %d answers", got)
		}
		r.mustPush(f, r.options())
		if drops, left := r.svc.Cache().Drops(), r.svc.Cache().Len(); drops != int(g) || left != 0 {
			t.Errorf("after push %d: dropped %d times, %d answers left", g, drops, left)
		}
	}
	r.finish()
}

// An answer that was fetched before a swap and stored after the drop must not
// be given out.
func TestCacheNeverGivesAnAnswerOfAnOlderGeneration(t *testing.T) {
	f := Fixture{Size: 1, JournalMode: "wal"}
	r := startRun(t, f, Config{Interval: never})
	seen, err := r.svc.Cache().get(t.Context(), "stamps", func(ctx context.Context) (Seen, error) {
		old, err := r.svc.store.statement(ctx)
		r.mustPush(f, r.options())
		return old, err
	})
	if err != nil || seen.Low != 1 {
		t.Fatalf("the answer from before the swap is %+v, %v", seen, err)
	}
	if got := r.svc.Cache().Len(); got != 1 {
		t.Fatalf("the old answer was not stored: %d answers", got)
	}
	if seen, err := r.svc.cachedStamps(t.Context()); err != nil || seen.Low != 2 {
		t.Errorf("after the swap the cache says %+v, %v", seen, err)
	}
	r.finish()
}

// What an OnSwap callback may rely on: calls flow, they see the new file, and
// the generation is the new one already.
func TestOnSwapRunsInTheNewGenerationWithCallsFlowing(t *testing.T) {
	f := Fixture{Size: 1, JournalMode: "wal"}
	r := startRun(t, f, Config{Interval: never})
	var got []uint64
	cancel := r.svc.Database().OnSwap(func(s driver.Swap) {
		seen, err := r.svc.store.statement(t.Context())
		if err != nil {
			t.Error(err)
		}
		got = append(got, s.Generation, r.svc.Database().Generation(), seen.Low)
	})
	r.mustPush(f, r.options())
	if !slices.Equal(got, []uint64{2, 2, 2}) {
		t.Errorf("told of generation, generation of the database, generation seen: %v", got)
	}
	cancel()
	r.mustPush(f, r.options())
	if len(got) != 3 {
		t.Error("the callback ran after it was cancelled")
	}
	r.finish()
}
