package driver

import (
	"context"
	"errors"
	"testing"
	"time"

	"hotswap/internal/testenv"
)

// gap has one that has waited get the place after another had it for so long, and returns
// it before it writes.
func gap(q *writerQueue, had time.Duration) (w *queued) {
	q.try()
	q.began.Add(-int64(had))
	return &queued{timer: time.NewTimer(long), told: make(chan struct{}, 1)}
}

func TestAGapIsLeftBeforeOneThatHasWaited(t *testing.T) {
	const had = 8 * leastGap
	var q writerQueue
	w := gap(&q, had)
	began := time.Now()
	if has, err := q.rest(t.Context(), w); !has || err != nil {
		t.Errorf("it has the place: %t, %v", has, err)
	}
	if time.Since(began) < had/gapPart {
		t.Error("there was no gap")
	}
}

func TestAGapEndsWhenAnotherWriterComes(t *testing.T) {
	testenv.Until(t, "one comes in a gap", func() bool {
		var q writerQueue
		w := gap(&q, time.Hour)
		rested := make(chan bool)
		go func() {
			has, _ := q.rest(context.Background(), w)
			rested <- has
		}()
		testenv.Until(t, "a gap", func() bool {
			q.mu.Lock()
			defer q.mu.Unlock()
			return q.rests == w
		})
		began := time.Now()
		line(t, &q, newQueued())
		if !<-rested || q.rests != nil || len(w.told) > 0 {
			t.Fatal("it has not got the place, or the gap goes on")
		}
		return time.Since(began) < mostGap/2
	})
}

// TestThereIsNoGapAfterAnotherHasCome, which would have taken the lock in it.
func TestThereIsNoGapAfterAnotherHasCome(t *testing.T) {
	testenv.Until(t, "there is none", func() bool {
		var q writerQueue
		w := gap(&q, time.Hour)
		line(t, &q, newQueued())
		began := time.Now()
		if has, err := q.rest(t.Context(), w); !has || err != nil {
			t.Fatal(has, err)
		}
		return time.Since(began) < mostGap/2
	})
}

func TestAGapEndsWithItsContext(t *testing.T) {
	var q writerQueue
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if has, err := q.rest(ctx, gap(&q, time.Hour)); has || !errors.Is(err, context.Canceled) || q.taken() {
		t.Errorf("it has the place: %t, %v; somebody has it: %t", has, err, q.taken())
	}
}
