package fleet

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/fleetview"
	"hotswap/internal/rollout"
)

// hang is what a hook waits for that does not look at its context: the end of the test, at last.
func hang(t *testing.T) (wait, release func()) {
	hangs := make(chan struct{})
	release = sync.OnceFunc(func() { close(hangs) })
	t.Cleanup(release)
	return func() { <-hangs }, release
}

// shown is what `hotswap fleet status` says of a node.
func (w *world) shown(node string) string {
	w.t.Helper()
	all, err := w.recs.Read(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	c := fleetview.Of(all, "catalog").Channels[0]
	for _, n := range c.Nodes {
		if n.Node == node {
			return n.State("catalog", c.Order)
		}
	}
	return ""
}

func TestAValidateThatHangsFailsItsNodeAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	wait, release := hang(t)
	a := w.program("a", one, func(c *Config) {
		c.Validate = func(_ context.Context, v Version, _ *sql.DB) error {
			if v.Number == 2 {
				wait()
			}
			return nil
		}
	})
	b := w.program("b", one, nil)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{MaxFailed: 1, Timeout: 4 * time.Second})
	eventually(t, "the status names it", func() bool { return strings.Contains(w.shown("a"), "its Validate has not returned since 2") })
	if s := a.status(); s.Hook != "Validate" || s.HookSince.IsZero() {
		t.Errorf("%+v", s)
	}
	b.has(2)
	// The node says it, or the controller, whose time for it is as long.
	if done := w.phase(rollout.Done, 2); len(done.Failed) != 1 ||
		!strings.Contains(done.Failed[0].Why, "Validate has not answered in time") && !strings.Contains(done.Failed[0].Why, "its Validate has not returned") {
		t.Errorf("%+v", done)
	}
	a.has(1)
	w.publish("catalog")
	w.rollout(3, rollout.Plan{})
	release()
	a.has(3)
	if done := w.phase(rollout.Done, 3); len(done.Failed) != 0 {
		t.Errorf("%+v", done)
	}
}

func TestCloseNamesAHookThatHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wait, release := hang(t)
	a := w.program("a", w.publish("catalog"), func(c *Config) {
		c.Health = func(context.Context, Version) error { wait(); return nil }
	})
	w.rollout(1, rollout.Plan{})
	eventually(t, "Health is called", func() bool { return a.status().Hook == "Health" })
	closed := make(chan error)
	go func() { closed <- a.node.Close() }()
	select {
	case err := <-closed:
		if !errors.Is(err, errHung) || !strings.Contains(err.Error(), "leave as a: Health has not returned: it was called for catalog@1 at 2") {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("it does not return")
	}
	release()
	if err := a.node.Close(); err != nil {
		t.Errorf("it has returned: %v", err)
	}
}

func TestACallbackOfASwapThatHangsIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.program("a", w.publish("catalog"), nil)
	wait, release := hang(t)
	a.node.databases["catalog"].db.OnSwap(func(driver.Swap) { wait() })
	w.publish("catalog")
	w.rollout(2, rollout.Plan{Timeout: 4 * time.Second})
	if halted := w.phase(rollout.Halted, 2); len(halted.Failed) != 1 || !strings.Contains(halted.Failed[0].Why, "took longer than 4s to swap: its OnSwap has not returned since") {
		t.Errorf("%+v", halted)
	}
	release()
}

// TestAValidateThatHangsInANodeThatComesLateIsLeft, which no controller waits for.
func TestAValidateThatHangsInANodeThatComesLateIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.program("a", w.publish("catalog"), nil)
	w.rollout(1, rollout.Plan{Timeout: time.Second})
	w.phase(rollout.Done, 1)
	wait, _ := hang(t)
	b := w.program("b", "", func(c *Config) {
		c.Validate = func(context.Context, Version, *sql.DB) error { wait(); return nil }
	})
	eventually(t, "it says so", func() bool {
		return strings.Contains(b.status().Failed, "Validate has not answered in time: it was called for catalog@1")
	})
}
