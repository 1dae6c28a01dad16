package fleet

import (
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"hotswap/internal/fleetview"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
)

// damage makes something else of every chunk.
func (w *world) damage() {
	w.t.Helper()
	chunks, err := w.engine.Chunks(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := chunks.Info(w.t.Context(), jetstream.WithSubjectFilter(">"))
	if err != nil {
		w.t.Fatal(err)
	}
	for subject := range info.State.Subjects {
		if _, err := w.engine.JetStream().Publish(w.t.Context(), subject, []byte("damaged")); err != nil {
			w.t.Fatal(err)
		}
	}
}

// A version that is damaged on the engine must not keep those who have nothing else from the
// next one.
func TestANodeThatHasNothingGetsTheNextVersionAlthoughTheLastIsDamaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a := w.program("a", one, nil)
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	a.stop()
	w.damage()
	if err := os.Remove(a.path); err != nil {
		t.Fatal(err)
	}
	w.publish("catalog")
	w.rollout(2, rollout.Plan{})
	a.start()
	a.has(2)
}

// TestADamagedVersionHaltsTheRollout at once, and not after its timeout; it goes on when the
// version is whole again.
func TestADamagedVersionHaltsTheRollout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a := w.program("a", one, nil)
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	two := w.publish("catalog")
	w.damage()
	w.rollout(2, rollout.Plan{})
	if halted := w.phase(rollout.Halted, 2); !strings.Contains(fleetview.Failures(halted.Failed), "is something else") {
		t.Errorf("%+v", halted)
	}
	if _, err := w.repo.Publish(t.Context(), "catalog", two, repository.PublishOptions{Anew: true}); err != nil {
		t.Fatal(err)
	}
	w.order("catalog", func(before *rollout.Order, _ bool) (rollout.Order, error) { return before.Resume(), nil })
	a.has(2)
}
