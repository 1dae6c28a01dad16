package repository

import (
	"context"
	"errors"
	"testing"
	"time"
)

// paused is a goroutine that stands still at a step until it is let go on.
type paused struct {
	at   string
	here chan struct{}
	on   chan struct{}
}

func pausedAt(at string) *paused { return &paused{at, make(chan struct{}), make(chan struct{})} }

func (p *paused) step(step string) {
	if step == p.at {
		close(p.here)
		<-p.on
	}
}

type published struct {
	Publication
	err error
}

// publishing publishes until p pauses it; what comes of it is in the channel.
func (w *world) publishing(p *paused, path string, opts PublishOptions) chan published {
	w.t.Helper()
	opts.step, opts.Objects = p.step, w.objects
	done := make(chan published, 1)
	repo := w.open(nil)
	go func() {
		made, err := repo.Publish(w.ctx(), "catalog", path, opts)
		done <- published{made, err}
	}()
	<-p.here
	return done
}

// collecting is publishing of a collection.
func (w *world) collecting(p *paused, keep int) chan error {
	w.t.Helper()
	done := make(chan error, 1)
	repo := w.open(nil)
	go func() {
		_, err := repo.GC(w.ctx(), GCOptions{Keep: keep, step: p.step})
		done <- err
	}()
	<-p.here
	return done
}

func TestAPublisherWhoseIntentHasExpiredFails(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		path := w.database(4096, 1<<20)
		w.publish("catalog", path, PublishOptions{})
		w.change(path, 5)
		p := pausedAt("commit")
		sleeps := w.publishing(p, path, PublishOptions{intentTTL: shortTTL, asleep: true})
		w.gone(Version{"catalog", 2})
		if done := w.gc(1); done.Chunks == 0 || len(done.Publishing) > 0 {
			t.Errorf("collected %+v", done)
		}
		close(p.on)
		if got := <-sleeps; !errors.Is(got.err, ErrIntent) {
			t.Errorf("published %v, %v", got.Published.Version, got.err)
		}
		if all, err := w.repo.Versions(t.Context(), "catalog"); err != nil || len(all) != 1 {
			t.Errorf("there are %v, %v", all, err)
		}
	})
}

// TestAPublisherThatIsOvertaken is published all the same, as the version of its number.
func TestAPublisherThatIsOvertaken(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		path := w.database(4096, 1<<20)
		w.publish("catalog", path, PublishOptions{})
		p := pausedAt("declare")
		overtaken, old := w.publishing(p, path, PublishOptions{}), w.asPublished(path)
		w.change(path, 5)
		third := w.publish("catalog", path, PublishOptions{})
		close(p.on)
		second := <-overtaken
		if second.err != nil {
			t.Fatal(second.err)
		}
		if second.Number != 2 || second.Parent != 1 || third.Number != 3 || third.Parent != 1 {
			t.Errorf("published %s from %d and %s from %d", second.Version, second.Parent, third.Version, third.Parent)
		}
		if got, _ := w.fetch(w.repo, second.Published); !same(got, old) {
			t.Errorf("%s is not what was published", second.Version)
		}
	})
}

func TestAnIntentIsRenewed(t *testing.T) {
	w := newWorld(t)
	path := w.database(4096, 1<<20)
	p := pausedAt("commit")
	done := w.publishing(p, path, PublishOptions{intentTTL: shortTTL})
	watch, err := w.repo.fleet.Watch(t.Context(), Version{"catalog", 1}.key())
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	for renewals := 0; renewals < 6; { // in one and a half times its TTL
		select {
		case entry := <-watch.Updates():
			if entry != nil {
				renewals++
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("it was renewed %d times", renewals)
		}
	}
	close(p.on)
	if got := <-done; got.err != nil {
		t.Error(got.err)
	}
}

// TestNothingIsRemovedWhileSomebodyPublishes on a version that is removed meanwhile.
func TestNothingIsRemovedWhileSomebodyPublishes(t *testing.T) {
	onEach(t, func(t *testing.T, w *world) {
		old, other := w.database(4096, 1<<20), w.database(4096, 1<<20)
		w.publish("catalog", old, PublishOptions{})
		p := pausedAt("commit")
		done := w.publishing(p, old, PublishOptions{}) // 2, out of the chunks of 1
		w.publish("catalog", other, PublishOptions{})  // 3
		collected := w.gc(1)
		if len(collected.Retired) != 1 || collected.Chunks > 0 || len(collected.Publishing) != 1 {
			t.Errorf("collected %+v", collected)
		}
		close(p.on)
		got := <-done
		if got.err != nil {
			t.Fatal(got.err)
		}
		if content, _ := w.fetch(w.repo, got.Published); !same(content, w.asPublished(old)) {
			t.Error("the version is not what was published")
		}
	})
}

// TestAPausedCollectionRemovesNothingThatIsNewer: what it wanted to remove is published
// again while it sleeps.
func TestAPausedCollectionRemovesNothingThatIsNewer(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"retired", "noted", "read", "decided", "listed"} {
		t.Run(step, func(t *testing.T) {
			onEach(t, func(t *testing.T, w *world) {
				old, other := w.database(4096, 1<<20), w.database(4096, 1<<20)
				w.publish("catalog", old, PublishOptions{})
				w.publish("catalog", other, PublishOptions{})
				p := pausedAt(step)
				done := w.collecting(p, 1)
				again := w.publish("catalog", old, PublishOptions{})
				close(p.on)
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				if content, _ := w.fetch(w.repo, again.Published); !same(content, w.asPublished(old)) {
					t.Error("the version is not what was published")
				}
				w.gc(1)
				if content, _ := w.fetch(w.repo, again.Published); !same(content, w.asPublished(old)) {
					t.Error("the version is not what was published")
				}
			})
		})
	}
}

// TestWhatIsOrderedMeanwhileStays: an order names a version that is about to be removed.
func TestWhatIsOrderedMeanwhileStays(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"retired", "noted", "read"} {
		t.Run(step, func(t *testing.T) {
			onEach(t, func(t *testing.T, w *world) {
				path := w.database(4096, 300<<10)
				first := w.publish("catalog", path, PublishOptions{})
				w.change(path, 3)
				w.publish("catalog", path, PublishOptions{})
				p := pausedAt(step)
				done := w.collecting(p, 1)
				if claimed, err := w.repo.Claim(t.Context(), first.Version); err != nil || claimed.State != IsPublished {
					t.Errorf("claimed: %+v, %v", claimed.State, err)
				}
				revision, err := w.repo.fleet.PutString(t.Context(), "order.catalog", `{"text":{"version":1,"base":0}}`)
				if err != nil {
					t.Fatal(err)
				}
				close(p.on)
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				confirmed, err := w.repo.Confirm(t.Context(), first.Version, "order.catalog", revision)
				if err != nil {
					t.Fatal(err)
				}
				w.fetch(w.repo, confirmed)
			})
		})
	}
}

// TestACollectionThatFailsHasMarkedNothing, and what one has marked that was killed can be used.
func TestACollectionThatFailsHasMarkedNothing(t *testing.T) {
	w := newWorld(t)
	path := w.database(4096, 300<<10)
	first := w.publish("catalog", path, PublishOptions{})
	w.change(path, 3)
	w.publish("catalog", path, PublishOptions{})
	state := func() State {
		p, err := w.repo.Manifest(t.Context(), first.Version)
		if err != nil {
			t.Fatal(err)
		}
		return p.State
	}
	for _, step := range []string{"retired", "noted", "read"} {
		ctx, interrupt := context.WithCancel(t.Context())
		_, err := w.repo.GC(ctx, GCOptions{Keep: 1, step: func(at string) {
			if at == step {
				if got := state(); got != Retiring {
					t.Errorf("at %s it is %s", step, got)
				}
				interrupt()
			}
		}})
		if !errors.Is(err, context.Canceled) || state() != IsPublished {
			t.Errorf("interrupted when %s: %v, and it is %s", step, err, state())
		}
	}
	killed := func() {
		t.Helper()
		entries, err := w.repo.engine.ReadUpTo(t.Context(), w.repo.fleet, 0, ">")
		if err != nil {
			t.Fatal(err)
		}
		g := &collection{r: w.repo, opts: GCOptions{Keep: 1}, chosen: map[Version]bool{}}
		if err := g.retire(t.Context(), entries); err != nil || state() != Retiring {
			t.Fatalf("%v: it is %s", err, state())
		}
	}
	killed()
	if p, err := w.repo.Claim(t.Context(), first.Version); err != nil || p.State != IsPublished || state() != IsPublished {
		t.Errorf("claimed: %s, %v", p.State, err)
	}
	killed()
	if done := w.gc(2); len(done.Retired) != 0 || state() != IsPublished {
		t.Errorf("collected %+v, and it is %s", done, state())
	}
	killed()
	if done, err := w.repo.GC(t.Context(), GCOptions{Keep: 1, DryRun: true}); err != nil || len(done.Retired) != 1 || state() != Retiring {
		t.Errorf("%+v, %v, and it is %s", done, err, state())
	}
	if done := w.gc(1); len(done.Retired) != 1 {
		t.Errorf("collected %+v", done)
	}
}

func TestCollectionsAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		path := w.database(4096, 300<<10)
		for range 4 {
			w.publish("catalog", path, PublishOptions{})
			w.change(path, 5)
		}
		first, second := pausedAt("read"), pausedAt("listed")
		one, two := w.collecting(first, 2), w.collecting(second, 1)
		last := w.publish("catalog", path, PublishOptions{})
		close(second.on)
		if err := <-two; err != nil {
			t.Error(err)
		}
		close(first.on) // it has read of versions that the other one has removed, with their chunks
		if err := <-one; err != nil {
			t.Error(err)
		}
		if content, _ := w.fetch(w.repo, last.Published); !same(content, w.asPublished(path)) {
			t.Error("the version is not what was published")
		}
	})
}
