//go:build linux

package chaos

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/fleetapp"
	"hotswap/internal/records"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
	"hotswap/internal/trust"
)

// world is what the test knows of what may be, to judge what is.
type world struct {
	t       *testing.T
	rng     *rand.Rand
	dir     string
	verbose bool
	c       *cluster
	engine  *engine.Engine
	repo    *repository.Repository
	recs    *records.Records
	key     ed25519.PrivateKey // of the operator, whom the nodes trust
	damaged atomic.Bool        // something that is kept, since the last publication

	mu      sync.Mutex        // guards what follows
	faults  []string          // what must not be
	numbers map[uint64]uint64 // of the versions, by content
	bad     map[uint64]bool   // contents with which nodes are not in order
	ordered []rollout.Order   // before they were written
	opened  map[string]bool   // "node content": a wave was open
	moves   []move            // to be compared with opened at the end
	blind   []time.Time       // when the watch had to begin anew
	counts  map[string]int    // of what was done
}

// move is a node that was seen with another content.
type move struct {
	at      time.Time
	node    string
	content uint64
}

func newWorld(t *testing.T, seed uint64, c *cluster) *world {
	w := &world{t: t, c: c, rng: rand.New(rand.NewPCG(seed, 0)), dir: t.TempDir(), numbers: map[uint64]uint64{}, bad: map[uint64]bool{},
		opened: map[string]bool{}, counts: map[string]int{}}
	e, err := engine.Connect(t.Context(), engine.Config{URL: addresses(c.ports), Patient: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	w.engine = e
	w.try("open the engine", func(ctx context.Context) (err error) {
		if w.repo, err = repository.Open(ctx, e, nil); err == nil {
			w.recs, err = records.Open(ctx, e)
		}
		return err
	})
	if _, w.key, err = ed25519.GenerateKey(nil); err != nil {
		t.Fatal(err)
	}
	w.recs = w.recs.SignedWith(w.key)
	return w
}

func (w *world) trusted() string { return trust.Text(w.key.Public().(ed25519.PublicKey)) }

// try does something until it succeeds, as an operator would.
func (w *world) try(what string, do func(context.Context) error) {
	w.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		ctx, cancel := context.WithTimeout(w.t.Context(), 15*time.Second)
		err := do(ctx)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) || w.t.Context().Err() != nil {
			w.t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (w *world) wrong(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if fault := fmt.Sprintf(format, args...); !slices.Contains(w.faults, fault) {
		w.faults = append(w.faults, fault)
	}
}

func (w *world) did(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

// moved judges a node that reads another content than before.
func (w *world) moved(node string, before, content uint64) {
	w.mu.Lock()
	w.moves = append(w.moves, move{time.Now(), node, content})
	number, published := w.numbers[content]
	from := w.numbers[before]
	named := slices.ContainsFunc(w.ordered, func(o rollout.Order) bool { return slices.Contains(o.Names(), number) })
	back := w.bad[before] || slices.ContainsFunc(w.ordered, func(o rollout.Order) bool { return o.Withdrawn(from, nil) })
	w.mu.Unlock()
	switch {
	case !published || !named:
		w.wrong("%s reads content %d (version %d), which no order has named", node, content, number)
	case number < from && !back:
		w.wrong("%s goes back from version %d to %d", node, from, number)
	}
}

// watch looks at the waves all the time, until ctx ends. (A watch of the engine's may miss a
// progress that is followed by another while its server is gone.)
func (w *world) watch(ctx context.Context) {
	for ctx.Err() == nil {
		look, cancel := context.WithTimeout(ctx, time.Second)
		p, _, err := w.recs.Progress(look, fleetapp.Channel)
		cancel()
		w.mu.Lock()
		if err != nil {
			w.blind = append(w.blind, time.Now())
		}
		w.mu.Unlock()
		if p != nil {
			w.waves(*p)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// waves takes down who may have a version.
func (w *world) waves(p rollout.Progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := slices.IndexFunc(w.ordered, func(o rollout.Order) bool { return o.ID == p.Order })
	if at < 0 {
		return
	}
	o := w.ordered[at]
	for i, wave := range p.Waves {
		for _, node := range wave {
			if i < p.Open {
				w.opened[fmt.Sprint(node, " ", o.Version)] = true
			}
		}
	}
	if p.Phase == rollout.Done {
		w.opened[fmt.Sprint("all ", o.Version)] = true
	}
}

// early judges those that were seen with a version before their wave was: at the end, since
// the test may be told later than they.
func (w *world) early() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.moves {
		number := w.numbers[m.content]
		free := slices.ContainsFunc(w.ordered, func(o rollout.Order) bool {
			return slices.ContainsFunc(o.Before, func(b rollout.Before) bool { return b.Version == number }) ||
				o.Kind == rollout.Rollback && o.Version == number
		})
		blind := slices.ContainsFunc(w.blind, func(at time.Time) bool { return at.Sub(m.at).Abs() < 5*time.Second })
		if !free && !blind && !w.opened[fmt.Sprint(m.node, " ", number)] && !w.opened[fmt.Sprint("all ", number)] {
			w.faults = append(w.faults, fmt.Sprintf("%s had version %d and its wave was not open", m.node, number))
		}
	}
}
