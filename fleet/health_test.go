package fleet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hotswap/internal/fleetview"
	"hotswap/internal/rollout"
)

func TestACanaryThatIsNotInOrderGoesBackAndHaltsTheRollout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	bad := func(cfg *Config) {
		cfg.Health = func(_ context.Context, v Version) error {
			if v.Number == 2 {
				return errors.New("prices are gone")
			}
			return nil
		}
	}
	a, b := w.program("a", one, bad), w.program("b", one, bad)
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{Canary: 1})
	halted := w.phase(rollout.Halted, 2)
	if !strings.Contains(fleetview.Failures(halted.Failed), "prices are gone") || halted.Open != 1 {
		t.Errorf("%+v", halted)
	}
	a.has(1)
	b.has(1)
	if a.status().Swaps != 2 || b.status().Swaps != 0 {
		t.Errorf("a swapped %d times, b %d times", a.status().Swaps, b.status().Swaps)
	}
	w.publish("catalog")
	w.rollout(3, rollout.Plan{Canary: 1})
	a.has(3)
	b.has(3)
	w.phase(rollout.Done, 3)
	w.rollback()
	a.has(1)
	b.has(1)
}

func TestANodeWhoseFirstVersionIsBadSaysThatThereIsNoneBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("catalog")
	empty := filepath.Join(t.TempDir(), "empty") // as SQLite makes it when it is opened
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a := w.program("a", empty, func(c *Config) {
		c.Health = func(context.Context, Version) error { return errors.New("prices are gone") }
	})
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Halted, 1)
	eventually(t, "it says why it stays", func() bool {
		return strings.HasSuffix(a.status().Failed, "and it stays: there was no database before catalog@1")
	})
}

// TestWhatIsOverIsNotTriedAgain: the fleet goes back from what a node has gone back from by itself.
func TestWhatIsOverIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.program("a", w.publish("catalog"), func(c *Config) {
		c.Health = func(_ context.Context, v Version) error {
			if v.Number == 2 {
				return errors.New("prices are gone")
			}
			return nil
		}
	})
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{})
	w.phase(rollout.Halted, 2)
	a.has(1)
	w.rollback()
	w.phase(rollout.Done, 1)
	eventually(t, "nothing is said to be tried again", func() bool { s := a.status(); return s.Error == "" && s.Failed == "" })
}

func TestANodeThatIsSickWithWhatItHasTakesTheNextVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	bad := func(cfg *Config) {
		cfg.Health = func(_ context.Context, v Version) error {
			if v.Number == 1 {
				return errors.New("prices are gone")
			}
			return nil
		}
	}
	w.publish("catalog")
	a, b := w.program("a", one, bad), w.program("b", one, bad)
	w.rollout(2, rollout.Plan{Canary: 1, Approve: true})
	w.phase(rollout.Awaiting, 2)
	for _, p := range []*program{a, b} { // the one that waits has been asked about what it has
		eventually(t, "it is sick, or has the next version", func() bool { s := p.status(); return s.Version == 2 || strings.Contains(s.Error, "prices are gone") })
	}
	w.order("catalog", func(before *rollout.Order, _ bool) (rollout.Order, error) { return before.Allow(1), nil })
	a.has(2)
	b.has(2)
	if done := w.phase(rollout.Done, 2); len(done.Failed) > 0 {
		t.Errorf("%+v", done)
	}
}

func TestANodeGoesBackAfterARestartToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	var sick atomic.Bool
	a := w.program("a", one, func(c *Config) {
		c.Health = func(context.Context, Version) error {
			if sick.Load() {
				return errors.New("the program does not start")
			}
			return nil
		}
	})
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{Soak: time.Hour})
	w.phase(rollout.Soaking, 2)
	a.stop()
	sick.Store(true)
	a.start()
	a.has(1)
	if halted := w.phase(rollout.Halted, 2); !strings.Contains(fleetview.Failures(halted.Failed), "the program does not start") {
		t.Errorf("%+v", halted)
	}
}

func TestHealthIsAskedAllThroughARolloutAfterAFailedOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	var sickWith, asked atomic.Uint64 // the version that is not in order; how often Health was asked about 3
	a := w.program("a", one, func(c *Config) {
		c.Health = func(_ context.Context, v Version) error {
			if v.Number == 3 {
				asked.Add(1)
			}
			if v.Number == sickWith.Load() {
				return errors.New("prices are gone")
			}
			return nil
		}
	})
	b := w.program("b", one, nil)
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	sickWith.Store(2)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{Canary: 1})
	w.phase(rollout.Halted, 2)
	a.has(1)
	w.publish("catalog")
	w.rollout(3, rollout.Plan{Canary: 1, Soak: time.Hour})
	w.phase(rollout.Soaking, 3)
	if s := a.status(); s.Failed != "" {
		t.Errorf("it does not follow the latest order: %s", s.Failed)
	}
	eventually(t, "it is asked again while the canary is watched", func() bool { return asked.Load() > 2 })

	// What was written keeps it from going back. Resumed, it is asked again, too.
	if _, err := a.db.Exec("INSERT INTO catalog VALUES ('ours', NULL)"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		sickWith.Store(3)
		if halted := w.phase(rollout.Halted, 3); len(halted.Failed) != 1 || !strings.Contains(halted.Failed[0].Why, "prices are gone") {
			t.Errorf("%+v", halted)
		}
		// The rollout is halted at once, whatever becomes of the way back, which the node tells.
		eventually(t, "it says why it stays", func() bool {
			return strings.HasSuffix(a.status().Failed, "prices are gone; and it stays: it was written to since it was swapped in")
		})
		sickWith.Store(0)
		w.order("catalog", func(before *rollout.Order, _ bool) (rollout.Order, error) { return before.Resume(), nil })
		w.phase(rollout.Soaking, 3)
		eventually(t, "its status has no failure any more", func() bool { return a.status().Failed == "" })
	}
	b.has(1)
}

func TestAHealthThatHangsIsNotCalledAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	var calls atomic.Uint64
	hang := make(chan struct{})
	a := w.program("a", one, func(c *Config) {
		c.HealthTimeout = 10 * time.Millisecond
		c.Health = func(context.Context, Version) error {
			calls.Add(1)
			<-hang
			return nil
		}
	})
	w.rollout(1, rollout.Plan{})
	eventually(t, "it was asked for again and again", func() bool { return a.status().Failures > 2 })
	if n := calls.Load(); n != 1 {
		t.Errorf("it was called %d times", n)
	}
	close(hang)
	eventually(t, "it answers", func() bool { return a.node.databases["catalog"].current().Healthy == 1 })
}

func TestTwoChannelsDoNotHaveOneDatabase(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link.sqlite3")
	if err := os.Symlink("catalog.sqlite3", link); err != nil {
		t.Fatal(err)
	}
	_, err := Join(t.Context(), Config{Node: "a", Databases: map[string]string{"catalog": filepath.Join(dir, "catalog.sqlite3"), "prices": link}})
	if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "has it already") {
		t.Error(err)
	}
}
