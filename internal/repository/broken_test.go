package repository

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// shortTTL is the shortest that the engine has.
const shortTTL = time.Second

// gone waits until no intent is left, as the engine's clock has it.
func (w *world) gone(v Version) {
	w.t.Helper()
	watch, err := w.repo.fleet.Watch(w.ctx(), v.key())
	if err != nil {
		w.t.Fatal(err)
	}
	defer watch.Stop()
	initial := false
	for there := false; ; {
		select {
		case entry := <-watch.Updates():
			switch {
			case entry == nil:
				initial = true
			default:
				there = entry.Operation() == jetstream.KeyValuePut
			}
			if initial && !there {
				return
			}
		case <-time.After(20 * time.Second):
			w.t.Fatalf("the intent of %s does not expire", v)
		}
	}
}

// TestAPublisherThatDiesAnywhereLeavesNothing: its connection ends before each of the things
// that it writes.
func TestAPublisherThatDiesAnywhereLeavesNothing(t *testing.T) {
	w := newWorld(t)
	path := w.database(4096, 1<<20)
	w.publish("catalog", path, PublishOptions{})
	before, err := w.repo.stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.change(path, 3)
	steps, died, late := 1, 0, 0
	for k := 0; k < steps; k++ {
		repo := w.open(nil)
		var n atomic.Int64
		_, err := repo.Publish(t.Context(), "catalog", path, PublishOptions{intentTTL: shortTTL, step: func(string) {
			if int(n.Add(1)) == k+1 {
				repo.engine.Close()
			}
		}})
		steps = max(steps, int(n.Load())+1)
		if n.Load() <= int64(k) {
			if errors.Is(err, ErrIntent) && late < 10 { // the machine is busy
				late++
				k--
				continue
			}
			if err != nil {
				t.Errorf("nobody died, and %v", err)
			}
			break // there are no more
		}
		if err == nil {
			t.Errorf("published without a connection, at %d", k)
		}
		died++
	}
	if died < 5 {
		t.Errorf("only %d died", died)
	}
	all, err := w.repo.Versions(t.Context(), "catalog")
	if err != nil || len(all) != 2 {
		t.Errorf("there are %v, %v: and one was published before, one behind", all, err)
	}
	for i := range died + late {
		w.gone(Version{"catalog", uint64(i + 2)})
	}
	last := all[len(all)-1]
	if got, _ := w.fetch(w.repo, last); !same(got, w.asPublished(path)) {
		t.Error("the last one is not what was published")
	}
	if err := w.repo.fleet.Delete(t.Context(), last.key()); err != nil {
		t.Fatal(err)
	}
	done := w.gc(1)
	after, err := w.repo.stream.Info(t.Context())
	if err != nil || after.State.Msgs != before.State.Msgs {
		t.Errorf("%d chunks are left, and there were %d: %+v, %v", after.State.Msgs, before.State.Msgs, done, err)
	}
}

// TestAPublisherThatIsInterruptedWithdraws, so that nobody has to wait for its intent.
func TestAPublisherThatIsInterruptedWithdraws(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("ctrl-c")
	_, err := w.repo.Publish(ctx, "catalog", w.database(4096, 1<<20), PublishOptions{step: func(string) { cancel(stop) }})
	if !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if done := w.gc(1); len(done.Publishing) > 0 || done.Kept > 0 {
		t.Errorf("collected %+v", done)
	}
}

func TestPublishersAtOnceGetANumberEach(t *testing.T) {
	w := newWorld(t)
	const publishers = 6
	var paths [publishers]string
	for i := range paths {
		paths[i] = w.database(4096, 300<<10)
	}
	var done [publishers]Publication
	var wg sync.WaitGroup
	for i := range publishers {
		repo := w.open(nil)
		wg.Go(func() {
			var err error
			if done[i], err = repo.Publish(t.Context(), "catalog", paths[i], PublishOptions{Message: fmt.Sprint(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	numbers := map[uint64]bool{}
	if t.Failed() {
		t.FailNow()
	}
	for i, p := range done {
		numbers[p.Number] = true
		if got, _ := w.fetch(w.repo, p.Published); !same(got, w.asPublished(paths[i])) {
			t.Errorf("%s is not what was published", p.Version)
		}
	}
	if len(numbers) != publishers || !numbers[publishers] {
		t.Errorf("the numbers are %v", numbers)
	}
}

func TestALostCounterGivesNoNumberTwice(t *testing.T) {
	w := newWorld(t)
	path := w.database(4096, 100<<10)
	w.publish("catalog", path, PublishOptions{})
	second := w.publish("catalog", path, PublishOptions{})
	w.gc(1)
	if err := w.repo.fleet.Delete(t.Context(), nextKey("catalog")); err != nil {
		t.Fatal(err)
	}
	if third := w.publish("catalog", path, PublishOptions{}); third.Number != second.Number+1 {
		t.Errorf("%s comes behind %s", third.Version, second.Version)
	}
}
