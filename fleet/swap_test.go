package fleet

import (
	"testing"
	"time"

	"hotswap/internal/rollout"
)

// TestANodeThatWasOutOfTouchAsksBeforeItSwaps: what it was about to do may have been taken back.
func TestANodeThatWasOutOfTouchAsksBeforeItSwaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.program("a", w.publish("catalog"), func(c *Config) { c.touch = time.Nanosecond })
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.publish("catalog")
	if err := a.node.databases["catalog"].bring(t.Context(), 2, ""); err != nil {
		t.Error(err)
	}
	if s := a.status(); s.Swaps != 0 || a.content() != "catalog@1" {
		t.Errorf("%+v, and it reads %s", s, a.content())
	}
	w.rollout(2, rollout.Plan{})
	a.has(2)
	w.phase(rollout.Done, 2)
}
