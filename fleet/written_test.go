package fleet

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/rollout"
	"hotswap/swapper"
)

// TestAWriteIsNoticed by a node that has nothing to do, and once.
func TestAWriteIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a := w.program("a", one, func(c *Config) { c.notice = 10 * time.Millisecond })
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	a.has(1)
	if s := a.status(); s.Content != "" {
		t.Fatal(s.Content)
	}
	if _, err := a.db.Exec("UPDATE catalog SET content = 'changed'"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it says so", func() bool {
		s := a.status()
		return s.Version == 1 && strings.Contains(s.Content, "written to since catalog@1")
	})
}

// TestAWriteOfACallbackIsNoticed, which comes before the node can look at what it has swapped
// in; and also while the node has to do, and waits.
func TestAWriteOfACallbackIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a := w.program("a", one, func(c *Config) {
		c.notice = 10 * time.Millisecond
		c.Diverged = Replace
		c.Health = func(_ context.Context, v Version) error {
			if v.Number == 2 {
				return nil
			}
			return errors.New("never")
		}
	})
	b := w.program("b", one, func(c *Config) { c.notice = 10 * time.Millisecond })
	for _, p := range []*program{a, b} {
		live, _ := driver.Lookup(p.path)
		live.OnSwap(func(driver.Swap) { p.db.Exec("UPDATE catalog SET content = 'changed'") })
	}
	w.publish("catalog")
	w.rollout(2, rollout.Plan{})
	eventually(t, "it says so", func() bool {
		s := a.status()
		return s.Version == 2 && strings.Contains(s.Content, "written to since catalog@2")
	})
	eventually(t, "so does one that refuses what was written to, but not what is by then", func() bool {
		s := b.status()
		return s.Version == 2 && strings.Contains(s.Content, "written to since catalog@2") && s.Failed == ""
	})
	w.phase(rollout.Done, 2)
	if s := b.status(); s.Failed != "" {
		t.Error(s.Failed)
	}
	w.pin("a", 1)
	eventually(t, "it is not in order, and says so", func() bool {
		s := a.status()
		return s.Version == 1 && strings.Contains(s.Content, "written to since catalog@1") && s.Error != ""
	})
}

// TestWhatWasWrittenToIsNotWhatIsRolledOutAgain: the node counts as failed, as with another version.
func TestWhatWasWrittenToIsNotWhatIsRolledOutAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a := w.program("a", one, func(c *Config) { c.notice = 10 * time.Millisecond })
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	a.has(1)
	if _, err := a.db.Exec("UPDATE catalog SET content = 'changed'"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it says so", func() bool { return a.status().Content != "" })
	if s := a.status(); s.Failed != "" { // of what is done already
		t.Errorf("%+v", s)
	}
	w.rollout(1, rollout.Plan{})
	if halted := w.phase(rollout.Halted, 1); len(halted.Failed) != 1 || !strings.Contains(halted.Failed[0].Why, "diverged: the live database was written to since catalog@1") {
		t.Errorf("%+v", halted)
	}
	a.push(one)
	w.order("catalog", func(before *rollout.Order, _ bool) (rollout.Order, error) { return before.Resume(), nil })
	if done := w.phase(rollout.Done, 1); len(done.Failed) > 0 {
		t.Errorf("%+v", done)
	}
}

// TestWhatIsPushedByHandIsNotWhatWasThere: it is none that was published, and no write, either.
func TestWhatIsPushedByHandIsNotWhatWasThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a := w.program("a", one, nil)
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	a.has(1)
	other, err := os.Open(content(t, "by hand"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	live, _ := driver.Lookup(a.path)
	if _, err := swapper.Push(t.Context(), live, other, swapper.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	says := func() bool {
		s := a.status()
		return s.Version == 0 && strings.Contains(s.Content, "not a version of catalog")
	}
	eventually(t, "it has none", says)
	w.rollout(1, rollout.Plan{})
	halted := w.phase(rollout.Halted, 1)
	if len(halted.Failed) != 1 {
		t.Errorf("%+v", halted)
	}
	a.stop()
	a.start()
	eventually(t, "it has none after a restart", says)
}

// TestWhoWasInOrderDoesNotGoBackLater: what a program lacks when it is started again is not the
// version's fault, once that was rolled out.
func TestWhoWasInOrderDoesNotGoBackLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	var sick atomic.Bool
	a := w.program("a", one, func(c *Config) {
		c.HealthInterval = 10 * time.Millisecond
		c.Health = func(context.Context, Version) error {
			if sick.Load() {
				return errors.New("the cache is away")
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
	a.stop()
	a.start()
	eventually(t, "it says so", func() bool { return strings.Contains(a.status().Error, "the cache is away") })
	if s := a.status(); s.Version != 2 || s.Failed != "" {
		t.Errorf("%+v", s)
	}
	sick.Store(false)
	eventually(t, "it is in order again", func() bool { s := a.status(); return s.Version == 2 && s.Error == "" })
	a.has(2)
}
