package fleet

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"hotswap/internal/engine/enginetest"
	"hotswap/internal/records"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
)

// another stops the engine, puts what there is in from, if anything, in the place of its
// directory, and starts it.
func (w *world) another(from string) {
	w.t.Helper()
	w.server.Stop()
	if from != w.dir {
		if err := os.RemoveAll(w.dir); err != nil {
			w.t.Fatal(err)
		}
	}
	if from != w.dir && from != "" {
		if err := os.CopyFS(w.dir, os.DirFS(from)); err != nil {
			w.t.Fatal(err)
		}
	}
	w.startEngine()
	w.engine.Close()
	w.open(w.operator())
}

// live publishes what a program has live.
func (w *world) live(p *program) {
	w.t.Helper()
	if _, err := w.repo.Publish(w.t.Context(), "catalog", p.path, repository.PublishOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func TestAnEngineThatWasEmptiedIsNotTakenForTheOneBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a, b := w.program("a", one, nil), w.program("b", one, nil)
	w.publish("catalog")
	w.publish("catalog")
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.rollout(3, rollout.Plan{})
	a.has(3)
	b.has(3)
	w.another("")
	w.live(a) // as catalog@1
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	for _, p := range []*program{a, b} {
		eventually(t, p.cfg.Node+" has what it had, under its new number", func() bool { return p.status().Version == 1 })
		if s := p.status(); p.content() != "catalog@3" || s.Swaps != 1 {
			t.Errorf("%s: %+v, %s", p.cfg.Node, s, p.content())
		}
	}
	w.publish("catalog")
	w.rollout(2, rollout.Plan{})
	a.has(2)
	b.has(2)
	w.phase(rollout.Done, 2)
}

// cutOff is a node that has catalog@9, and that was cut off while the engine was restored from a
// copy that knows no more than catalog@1, and while something else happened there.
func cutOff(t *testing.T, meanwhile func(*world, *program)) (*world, *program) {
	w := newWorld(t)
	one := w.publish("catalog")
	a := w.program("a", one, nil)
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	old := w.copied(t)
	for range 8 {
		w.publish("catalog") // numbers that come again
	}
	w.rollout(9, rollout.Plan{})
	a.has(9)
	w.phase(rollout.Done, 9)
	here := w.port
	w.port = enginetest.Port(t) // where the node does not look
	w.another(old)
	meanwhile(w, a)
	w.port = here
	w.another(w.dir)
	return w, a
}

// proceed writes the progress of the order so many times, as a controller would.
func (w *world) proceed(times int, phase rollout.Phase) {
	w.t.Helper()
	for range times {
		o, _, err := w.recs.Order(w.t.Context(), "catalog")
		var entry records.Entry
		if err == nil {
			_, entry, err = w.recs.Progress(w.t.Context(), "catalog")
		}
		if err == nil {
			_, err = w.recs.SetProgress(w.t.Context(), "catalog", rollout.Progress{Order: o.ID, Phase: phase}, entry)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// What the engine has counted since says nothing: the content does.
func TestANodeThatWasCutOffKnowsWhatItHasOnAnOlderCopy(t *testing.T) {
	t.Parallel()
	_, a := cutOff(t, func(w *world, a *program) {
		w.live(a) // as catalog@2
		w.rollout(1, rollout.Plan{})
		w.proceed(60, rollout.Preparing)
		w.rollout(2, rollout.Plan{})
		w.proceed(1, rollout.Done)
	})
	eventually(t, "it has what it had, under its new number", func() bool { return a.status().Version == 2 })
	if s := a.status(); s.Swaps != 1 || s.Failed != "" || a.content() != "catalog@9" {
		t.Errorf("%+v", s)
	}
}

// The node is cut off for as long as it may take, in which the engine may count further than it
// had before.
func TestAnEngineFromAnOlderCopyIsNotTakenForTheOneBefore(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(*world){
		"at once": func(*world) {},
		"counting further": func(w *world) {
			for range 20 {
				w.publish("catalog")
			}
		},
		"ordering the number": func(w *world) {
			for range 20 {
				w.publish("catalog")
			}
			w.rollout(9, rollout.Plan{})
		},
		"collecting it": func(w *world) {
			for range 20 {
				w.publish("catalog")
			}
			w.proceed(60, rollout.Preparing)
			w.rollout(1, rollout.Plan{})
			w.proceed(1, rollout.Done)
			if _, err := w.repo.GC(w.t.Context(), repository.GCOptions{Keep: 1}); err != nil {
				w.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, a := cutOff(t, func(w *world, _ *program) { meanwhile(w) })
			// What the program has is none of this engine's versions.
			eventually(t, "the node knows", func() bool { s := a.status(); return s.Content != "" && s.Phase == string(records.Idle) })
			if got := a.content(); got != "catalog@9" {
				t.Errorf("it has %s", got)
			}
			newest, err := w.repo.Versions(t.Context(), "catalog")
			if err != nil {
				t.Fatal(err)
			}
			last := newest[len(newest)-1].Number
			for ; last < 9; last++ {
				w.publish("catalog")
			}
			ordered := uint64(9)
			if name == "collecting it" {
				ordered = last
			}
			w.rollout(ordered, rollout.Plan{})
			if halted := w.phase(rollout.Halted, ordered); len(halted.Failed) != 1 || !strings.Contains(halted.Failed[0].Why, "diverged") {
				t.Errorf("%+v", halted)
			}
			w.live(a)
			next := last + 1
			w.rollout(next, rollout.Plan{})
			w.phase(rollout.Done, next)
			if s := a.status(); s.Version != next || s.Swaps != 1 || a.content() != "catalog@9" {
				t.Errorf("%+v", s)
			}
		})
	}
}

// What an engine that was emptied has under a number is not what was ordered by it: not by the
// order that the node keeps because it was signed, and not by its pin.
func TestAVersionOfAnotherEngineIsNotTheOneThatWasOrdered(t *testing.T) {
	t.Parallel()
	s := newSigning(t)
	one := s.publishSigned("catalog@1")
	replacing := func(cfg *Config) { s.trusting(cfg); cfg.Diverged = Replace }
	a, b := s.program("a", one, replacing), s.program("b", one, replacing)
	s.publishSigned("catalog@2")
	s.publishSigned("catalog@3")
	s.rollout(1, rollout.Plan{})
	s.phase(rollout.Done, 1)
	s.rollout(3, rollout.Plan{}) // catalog@1 is its base
	s.phase(rollout.Done, 3)
	s.pin("b", 2)
	b.has(2)
	s.another("")
	for range 3 {
		s.publishSigned("another")
	}
	for _, again := range []bool{false, true} {
		for p, serves := range map[*program]string{a: "catalog@3", b: "catalog@2"} {
			if again {
				p.stop()
				p.start() // what it has obeyed is on its disk
			}
			eventually(t, p.cfg.Node+" has tried", func() bool {
				s := p.status() // only one that was there before knows that the engine is another one
				return p.content() != serves || strings.Contains(s.Error, "is not what was ordered") || !again && strings.Contains(s.Failed, "of an engine that was lost")
			})
			if got := p.content(); got != serves {
				t.Errorf("%s serves %s, which nobody has ordered", p.cfg.Node, got)
			}
		}
	}
}

// interposed is a store that does something once, before it is asked.
type interposed struct {
	store
	once sync.Once
	do   func()
}

func (i *interposed) Manifest(ctx context.Context, v repository.Version) (repository.Published, error) {
	i.once.Do(i.do)
	return i.store.Manifest(ctx, v)
}

func TestWhatIsSwappedInWhileANodeLooksIsSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a := w.program("a", one, nil)
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	two := w.publish("catalog")
	n := a.node
	n.mu.Lock()
	n.store = &interposed{store: n.store, do: func() { a.push(two) }}
	n.mu.Unlock()
	n.databases["catalog"].unknown()
	a.has(2)
}

func TestANodeLeavesAtOnceWithoutTheEngine(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.program("a", w.publish("catalog"), nil)
	eventually(t, "it controls", func() bool { return a.node.Status().Controller })
	w.server.Stop()
	began := time.Now()
	a.stop()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestAnOlderRecordThatIsStillOnItsWayIsNoDoubt: the node has asked for the newer one itself.
func TestAnOlderRecordThatIsStillOnItsWayIsNoDoubt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a := w.program("a", one, func(c *Config) { c.doubt = time.Hour })
	w.publish("catalog")
	w.rollout(1, rollout.Plan{})
	w.rollout(2, rollout.Plan{})
	a.has(2)
	for _, d := range a.node.databases {
		d.tell(records.Change{Kind: records.AnOrder, Channel: "catalog", Entry: records.Entry{Revision: 1}})
	}
	w.publish("catalog")
	w.rollout(3, rollout.Plan{})
	a.has(3)
}
