package fleet

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hotswap/internal/rollout"
)

// TestANodeDoesNotGoBackFromWhatItShouldHaveAnyway: it would only be brought there again, and
// fail again.
func TestANodeDoesNotGoBackFromWhatItShouldHaveAnyway(t *testing.T) {
	t.Parallel()
	for name, order := range map[string]func(w *world){
		"rolled out again": func(w *world) { w.rollout(2, rollout.Plan{Soak: time.Hour}) },
		"pinned":           func(w *world) { w.pin("a", 2) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var sick atomic.Bool
			a := w.program("a", w.publish("catalog"), func(c *Config) {
				c.HealthInterval = 10 * time.Millisecond
				c.Health = func(context.Context, Version) error {
					if sick.Load() {
						return errors.New("prices are gone")
					}
					return nil
				}
			})
			w.rollout(1, rollout.Plan{})
			w.phase(rollout.Done, 1)
			w.publish("catalog")
			w.rollout(2, rollout.Plan{})
			w.phase(rollout.Done, 2)
			a.has(2)
			sick.Store(true)
			order(w)
			if name == "pinned" {
				a.stop()
				a.start()
			}
			eventually(t, "it was asked again and again", func() bool { return a.status().Failures >= 4 })
			if s := a.status(); s.Version != 2 || s.Swaps > 1 || !strings.Contains(s.Error, "prices are gone") {
				t.Errorf("%+v", s)
			}
			if name == "pinned" {
				return
			}
			if halted := w.phase(rollout.Halted, 2); len(halted.Failed) != 1 {
				t.Errorf("%+v", halted)
			}
		})
	}
}
