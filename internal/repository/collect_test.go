package repository

import (
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"
)

func (w *world) gc(keep int) Collected {
	w.t.Helper()
	done, err := w.repo.GC(w.ctx(), GCOptions{Keep: keep})
	if err != nil {
		w.t.Fatal(err)
	}
	return done
}

func TestACollectionRemovesWhatNoVersionNames(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		path := w.database(4096, 2<<20)
		var all []Publication
		for range 4 {
			all = append(all, w.publish("catalog", path, PublishOptions{}))
			w.change(path, 30)
		}
		pinned := all[1].Version
		if _, err := w.repo.fleet.PutString(t.Context(), "pin.catalog.web-1", `{"text":{"version":2}}`); err != nil {
			t.Fatal(err)
		}
		done := w.gc(1)
		if len(done.Retired) != 2 || done.Retired[0].Number != 1 || done.Retired[1].Number != 3 || done.Chunks == 0 || done.Bytes == 0 {
			t.Errorf("collected %+v", done)
		}
		for _, p := range all {
			got, err := w.repo.Manifest(t.Context(), p.Version)
			if kept := p.Number == 4 || p.Version == pinned; kept != (err == nil) {
				t.Errorf("%s: %v", p.Version, err)
			} else if err == nil {
				w.fetch(w.repo, got)
			} else if !errors.Is(err, ErrNotPublished) {
				t.Errorf("%s: %v", p.Version, err)
			}
		}
		want := []Staying{{pinned, []string{"pinned on web-1"}}, {all[3].Version, []string{"the newest"}}}
		if !reflect.DeepEqual(done.Staying, want) {
			t.Errorf("staying are %+v", done.Staying)
		}
		if again := w.gc(1); again.Chunks != 0 || len(again.Retired) != 0 || again.Kept != done.Kept {
			t.Errorf("a second collection: %+v after %+v", again, done)
		}
	})
}

// What an order may send a node to stays: by a rollback, or after one.
func TestWhatARollbackGoesToStays(t *testing.T) {
	w := newWorld(t)
	path := w.database(4096, 100<<10)
	for range 6 {
		w.publish("catalog", path, PublishOptions{})
	}
	if _, err := w.repo.fleet.PutString(t.Context(), "order.catalog", `{"text":{"version":5,"before":[{"version":4},{"version":2},{"version":1}]}}`); err != nil {
		t.Fatal(err)
	}
	const damaged = 7
	if _, err := w.repo.fleet.PutString(t.Context(), Version{"catalog", damaged}.key(), "{"); err != nil {
		t.Fatal(err)
	}
	why := func(dryRun bool) map[uint64]string {
		g := &collection{r: w.repo, opts: GCOptions{Keep: 2, Channel: "catalog", DryRun: dryRun}, chosen: map[Version]bool{}}
		g.run(t.Context()) // it ends with the damaged one, before it removes a chunk
		if len(g.done.Retired) != 1 || g.done.Retired[0].Number != 3 {
			t.Errorf("collected %+v", g.done)
		}
		all := map[uint64]string{}
		for _, s := range g.done.Staying {
			all[s.Number] = strings.Join(s.Why, ", ")
		}
		return all
	}
	want := map[uint64]string{1: "ordered before", 2: "ordered before", 4: "ordered before", 5: "one of the newest 2, ordered", 6: "the newest",
		damaged: "it can't be read"}
	for _, dryRun := range []bool{true, false} {
		if got := why(dryRun); !maps.Equal(got, want) {
			t.Errorf("%v", got)
		}
	}
}

// TestAnIntentThatTheEngineKeepsHoldsNoCollectionUp: it was restored, or its clock set back.
func TestAnIntentThatTheEngineKeepsHoldsNoCollectionUp(t *testing.T) {
	w := newWorld(t)
	path := w.database(4096, 1<<20)
	w.publish("catalog", path, PublishOptions{})
	w.change(path, 5)
	p := pausedAt("commit")
	dead := w.publishing(p, path, PublishOptions{intentTTL: time.Hour, asleep: true})
	if done := w.gc(1); done.Chunks != 0 || len(done.Publishing) != 1 {
		t.Errorf("somebody is publishing, and collected is %+v", done)
	}
	if done, err := w.repo.GC(t.Context(), GCOptions{Keep: 1, overdue: time.Nanosecond}); err != nil || done.Chunks == 0 || len(done.Publishing) > 0 {
		t.Errorf("collected %+v: %v", done, err)
	}
	close(p.on)
	if got := <-dead; !errors.Is(got.err, ErrIntent) {
		t.Errorf("published %v, %v", got.Published.Version, got.err)
	}
}
