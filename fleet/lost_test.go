package fleet

import (
	"strings"
	"testing"

	"hotswap/internal/rollout"
)

// What a node has of an engine that was lost is not what an older copy has written down of it: it
// is no version of that one, does not count as what is rolled out there, and nothing takes its
// place but what is ordered anew.
func TestWhatALostEngineHadIsNoVersionOfAnOlderCopy(t *testing.T) {
	t.Parallel()
	for _, diverged := range []Diverged{Refuse, Replace} {
		t.Run(string(diverged), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			one := w.publish("catalog")
			a := w.program("a", one, func(c *Config) { c.Diverged = diverged })
			w.rollout(1, rollout.Plan{})
			w.phase(rollout.Done, 1)
			w.publish("catalog")
			w.rollout(2, rollout.Plan{})
			a.has(2)
			w.phase(rollout.Done, 2)
			old := w.copied(t)
			w.publish("catalog")
			w.rollout(3, rollout.Plan{})
			a.has(3)
			w.phase(rollout.Done, 3)
			w.another(old)
			eventually(t, "it says so", func() bool {
				s := a.status()
				return s.Version == 0 && strings.Contains(s.Content, "not a version of catalog") && strings.Contains(s.Failed, "of an engine that was lost")
			})
			if next, _ := a.node.databases["catalog"].next(); next.do != nothing {
				t.Errorf("it follows an order from before: %+v", next)
			}
			w.rollout(2, rollout.Plan{})
			if diverged == Replace {
				a.has(2)
				w.phase(rollout.Done, 2)
				return
			}
			if halted := w.phase(rollout.Halted, 2); len(halted.Failed) != 1 || !strings.Contains(halted.Failed[0].Why, "diverged") {
				t.Errorf("%+v", halted)
			}
			if s := a.status(); a.content() != "catalog@3" || s.Swaps != 2 {
				t.Errorf("it has %s: %+v", a.content(), s)
			}
			w.live(a) // as catalog@3
			w.rollout(3, rollout.Plan{})
			w.phase(rollout.Done, 3)
			if s := a.status(); s.Version != 3 || s.Failed != "" || s.Swaps != 2 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestAnOlderCopyMovesNobody: what it says was ordered before something else was.
func TestAnOlderCopyMovesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a := w.program("a", one, nil)
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{})
	a.has(2)
	w.phase(rollout.Done, 2)
	old := w.copied(t)
	w.rollback()
	a.has(1)
	w.phase(rollout.Done, 1)
	w.another(old)
	eventually(t, "it says so", func() bool { return strings.Contains(a.status().Failed, "from an older copy") })
	if s := a.status(); s.Version != 1 || s.Swaps != 2 {
		t.Errorf("%+v", s)
	}
	w.rollback()
	w.phase(rollout.Done, 1)
	eventually(t, "it is in order", func() bool { s := a.status(); return s.Version == 1 && s.Failed == "" && s.Swaps == 2 })
	w.rollout(2, rollout.Plan{})
	a.has(2)
}
