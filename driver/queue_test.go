package driver

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hotswap/internal/testenv"
)

// long is a patience that no test outlasts.
const long = time.Hour

func newQueued() *queued {
	return &queued{since: time.Now(), told: make(chan struct{}, 1)}
}

// line puts w into the queue, whose place is taken.
func line(t *testing.T, q *writerQueue, w *queued) {
	t.Helper()
	if took, _ := q.takeOrWait(w); took {
		t.Fatal("the place was free")
	}
}

// told reports whether w was told, and what.
func told(w *queued) (told, has bool) {
	select {
	case <-w.told:
		return true, w.has
	default:
		return false, false
	}
}

func TestAFreePlaceIsForWhoeverComesFirst(t *testing.T) {
	var q writerQueue
	first, second := newQueued(), newQueued()
	if !q.try() || q.try() {
		t.Fatal("one has the place, and one only")
	}
	line(t, &q, first)
	line(t, &q, second)
	q.leave()
	if told, has := told(first); !told || has {
		t.Errorf("the first was told %t, and has the place: %t", told, has)
	}
	if !q.try() {
		t.Fatal("a free place was refused")
	}
	q.leave()
	if told, _ := told(second); told {
		t.Error("the second was told while the first was on its way")
	}
	if !q.try() {
		t.Fatal("a free place was refused")
	}
	first.late++
	line(t, &q, first)
	if q.first != first || q.last != second {
		t.Error("one that came too late has lost its turn")
	}
	q.leave()
	if told, _ := told(first); !told {
		t.Error("one that came too late is not told again")
	}
	if took, _ := q.takeOrWait(first); !took {
		t.Error("a free place was refused to the first")
	}
	q.leave()
	if told, _ := told(second); !told {
		t.Error("the second was forgotten")
	}
}

func TestAPlaceIsHandedOverToWhoeverHasWaited(t *testing.T) {
	var q writerQueue
	q.try()
	first, second, third := newQueued(), newQueued(), newQueued()
	first.since = first.since.Add(-queueWait)
	second.since = first.since
	for _, w := range []*queued{first, second, third} {
		line(t, &q, w)
	}
	for _, w := range []*queued{first, second} {
		q.leave()
		if told, has := told(w); !told || !has {
			t.Errorf("was told %t, and has the place: %t", told, has)
		}
		if q.try() {
			t.Fatal("a place that was handed over was free")
		}
	}
	q.leave()
	if told, has := told(third); !told || has {
		t.Errorf("one that has just come was told %t, and has the place: %t", told, has)
	}
	if !q.try() {
		t.Fatal("it does not go to whoever asks first")
	}
	third.late++
	line(t, &q, third)
	third.since = third.since.Add(-queueWait)
	q.leave()
	if told, has := told(third); !told || !has {
		t.Errorf("later it was told %t, and has the place: %t", told, has)
	}
	q.leave()
	if q.taken() || q.first != nil {
		t.Errorf("the place is taken: %t, or somebody waits", q.taken())
	}
}

// TestOneThatIsToldAsItLooks has been told of the place that it finds taken.
func TestOneThatIsToldAsItLooks(t *testing.T) {
	for _, due := range []bool{false, true} {
		var q writerQueue
		w := newQueued()
		q.try()
		line(t, &q, w)
		if due {
			w.since = w.since.Add(-queueWait)
		}
		q.leave()
		if took, _ := q.takeOrWait(w); !took || w.waits {
			t.Errorf("has not got the place, and waits: %t", w.waits)
		}
		if told, _ := told(w); told {
			t.Error("would be told at its next wait")
		}
	}
}

// TestOneThatGivesUpSeesToTheOthers: they rely on the first, whether it is to be told, was
// told or looks for itself.
func TestOneThatGivesUpSeesToTheOthers(t *testing.T) {
	for name, begin := range map[string]func(q *writerQueue, w *queued){
		"waits":            func(q *writerQueue, w *queued) {},
		"told":             func(q *writerQueue, w *queued) { q.leave() },
		"told, and late":   func(q *writerQueue, w *queued) { q.leave(); q.try() },
		"told, and behind": func(q *writerQueue, w *queued) { q.leave(); q.try(); line(t, q, newQueued()) },
		"handed over":      func(q *writerQueue, w *queued) { w.since = w.since.Add(-queueWait); q.leave() },
		"looks": func(q *writerQueue, w *queued) {
			q.leave()
			q.try()
			told(w)
			w.late = queueLate
			if took, look := q.takeOrWait(w); took || look == 0 {
				t.Errorf("has the place: %t, looks after %v", took, look)
			}
		},
		"looks, and it is free": func(q *writerQueue, w *queued) {
			q.leave()
			q.try()
			told(w)
			w.late = queueLate
			if took, look := q.takeOrWait(w); took || look == 0 {
				t.Errorf("has the place: %t, looks after %v", took, look)
			}
			q.leave()
		},
	} {
		t.Run(name, func(t *testing.T) {
			var q writerQueue
			q.try()
			first, second := newQueued(), newQueued()
			line(t, &q, first)
			line(t, &q, second)
			begin(&q, first)
			q.giveUp(first) // has the place or not: somebody does
			if !q.taken() {
				t.Fatal("the place is free, with one that waits")
			}
			q.leave()
			if told, _ := told(second); !told {
				t.Error("the one behind it waits for ever")
			}
			if told, _ := told(first); told || first.waits {
				t.Error("the one that gave up is not out of it")
			}
		})
	}
}

// TestThePlaceIsOneOnes: however many come and go.
func TestThePlaceIsOneOnes(t *testing.T) {
	t.Parallel()
	var q writerQueue
	var inside atomic.Int32
	var wg sync.WaitGroup
	var got, gaveUp, ended atomic.Int32
	for range 8 {
		wg.Go(func() {
			var w queued
			for range 500 {
				ctx, cancel := context.WithCancel(context.Background())
				patience := long
				kind := rand.N(4)
				switch kind {
				case 0:
					patience = rand.N(50 * time.Microsecond)
				case 1:
					time.AfterFunc(rand.N(50*time.Microsecond), cancel)
				}
				has := rand.N(2) == 0 && q.try()
				var err error
				if !has {
					has, err = q.enter(ctx, &w, patience)
				}
				switch {
				case err != nil:
					ended.Add(1)
					if kind != 1 || has || !errors.Is(err, context.Canceled) {
						t.Errorf("%v, and has the place: %t", err, has)
					}
				case has:
					got.Add(1)
					if n := inside.Add(1); n != 1 {
						t.Errorf("%d have the place", n)
					}
					if rand.N(4) == 0 {
						time.Sleep(rand.N(50 * time.Microsecond)) // the others come meanwhile
					}
					inside.Add(-1)
					q.leave()
				default:
					gaveUp.Add(1)
					if kind != 0 {
						t.Error("one gave up that has patience")
					}
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if q.taken() || q.first != nil || q.last != nil {
		t.Errorf("at the end the state is %d, the list %v to %v", q.state.Load(), q.first, q.last)
	}
	if got.Load() == 0 || gaveUp.Load() == 0 || ended.Load() == 0 {
		t.Errorf("%d had the place, %d gave up, %d ended", got.Load(), gaveUp.Load(), ended.Load())
	}
}

// TestAFreePlaceDoesNotStayFree while one waits that came too late too often to be told.
func TestAFreePlaceDoesNotStayFree(t *testing.T) {
	var q writerQueue
	testenv.Until(t, "one looks for itself", func() bool {
		var w queued
		entered := make(chan bool)
		q.try()
		go func() {
			has, _ := q.enter(context.Background(), &w, long)
			entered <- has
		}()
		for {
			q.mu.Lock()
			waits, state := w.waits, q.state.Load()
			q.mu.Unlock()
			looks := waits && state == placeTaken
			if waits && !looks {
				q.leave()
			}
			if looks || waits && !q.try() { // or it came first
				if looks {
					q.leave() // with nobody told
				}
				if !<-entered {
					t.Error("it gave up")
				}
				q.leave()
				return looks
			}
			runtime.Gosched()
		}
	})
}
