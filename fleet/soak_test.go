package fleet

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"hotswap/internal/rollout"
)

// TestTheAnswerAfterTheSoakCounts: Health is at work when the soak ends, and then disagrees.
func TestTheAnswerAfterTheSoakCounts(t *testing.T) {
	t.Parallel()
	const soak = 100 * time.Millisecond
	w := newWorld(t)
	one := w.publish("catalog")
	var asked atomic.Int32
	health := func(c *Config) {
		c.Health = func(_ context.Context, v Version) error {
			if v.Number != 2 || asked.Add(1) == 1 {
				return nil
			}
			time.Sleep(10 * soak) // what it does takes that long
			return errors.New("prices are gone")
		}
	}
	a, b := w.program("a", one, health), w.program("b", one, health)
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{Canary: 1, Soak: soak})
	if halted := w.phase(rollout.Halted, 2); halted.Open != 1 {
		t.Errorf("%+v", halted)
	}
	a.has(1)
	b.has(1)
	if swaps := a.status().Swaps + b.status().Swaps; swaps != 2 {
		t.Errorf("%d swaps", swaps)
	}
}
