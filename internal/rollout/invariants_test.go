package rollout

import (
	"fmt"
	"slices"
	"testing"

	"hotswap/internal/testenv"
)

func TestWhateverFailsAFleetKeepsItsInvariants(t *testing.T) {
	t.Parallel()
	for seed := range uint64(testenv.Sample(300, 5000)) {
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t, seed)
			for range 1500 {
				w.tick()
			}
			w.settle()
		})
		if !ok {
			return
		}
	}
}

// swapped checks a node that is about to swap a version in.
func (w *world) swapped(m *member, o Order, version uint64) {
	pinned := m.pin != nil && m.pin.Version == version
	meant := slices.ContainsFunc(w.named[version], func(o Order) bool { return o.Selects(m.Labels) })
	if !pinned && !meant {
		w.t.Fatalf("%s swaps in %d, which no order had it have: %+v", m.Name, version, o)
	}
	if !pinned && !slices.Contains(o.Names(), version) {
		w.t.Fatalf("%s swaps in %d, which %+v does not name", m.Name, version, o)
	}
	released := m.pin.released(m.Have)
	withdrawn := o.Withdrawn(m.Have, m.Labels)
	if version < m.Have && !pinned && !released && !withdrawn {
		w.t.Fatalf("%s goes back from %d to %d by %+v", m.Name, m.Have, version, o)
	}
	if pinned || o.Kind == Rollback || version != o.Version || version == o.before(m.Node) {
		return
	}
	p := m.progress
	if p == nil || p.Order != o.ID {
		w.t.Fatalf("%s swaps in %d before anybody has begun with %+v", m.Name, version, o)
	}
	for i, wave := range p.Waves {
		if slices.Contains(wave, m.Name) && i >= p.Open {
			w.t.Fatalf("%s of wave %d swaps with %d open", m.Name, i, p.Open)
		}
	}
	if o.Halted {
		w.t.Fatalf("%s swaps although an operator has halted", m.Name)
	}
}

// stepped checks what a controller is about to write.
func (w *world) stepped(c *controller, next Progress) {
	before := Progress{}
	if c.progress != nil && c.progress.Order == next.Order {
		before = *c.progress
	}
	if next.Phase == Soaking && before.Phase != Soaking {
		w.soaking = w.now
	}
	if next.Phase == Done && next.Open < len(next.Waves) {
		w.t.Fatalf("done with wave %d of %d open", next.Open, len(next.Waves))
	}
	for _, f := range next.Failed {
		if c.order.Attempt == before.Attempt && len(before.Failed) > len(next.Failed) {
			w.t.Fatalf("a failure of %s is forgotten", f.Node)
		}
	}
	if next.Open == before.Open {
		return
	}
	if c.order.Kind == Rollback {
		return
	}
	if next.Open != before.Open+1 {
		w.t.Fatalf("%d waves are open after %d", next.Open, before.Open)
	}
	if c.order.Halted || len(next.Failed) > c.order.MaxFailed {
		w.t.Fatalf("a wave opens in spite of a halt: %+v", next)
	}
	seen := 0
	for i, wave := range next.Waves {
		for _, name := range wave {
			node, answers := c.view.Nodes[name]
			if !answers && !c.view.Settled && (before.Open == 0 || i < before.Open) && !next.HasFailed(name) {
				w.t.Fatalf("wave %d opens and nobody knows whether %s answers", next.Open, name)
			}
			if before.Open > i && !answers && !next.HasFailed(name) && !slices.Contains(before.Skipped, name) {
				w.t.Fatalf("wave %d opens and %s has stopped answering since it swapped", next.Open, name)
			}
			if !answers || node.Pinned != 0 || next.HasFailed(name) {
				continue
			}
			version := c.order.Version
			if before.Open == 0 && node.Have != version && node.Prepared != version {
				w.t.Fatalf("the first wave opens and %s is not prepared: %+v", name, node)
			}
			if i < before.Open && (node.Have != version || node.Healthy != version) {
				w.t.Fatalf("wave %d opens and %s of wave %d is not in order: %+v", next.Open, name, i+1, node)
			}
			seen++
		}
	}
	if seen == 0 && len(next.Failed) == 0 {
		w.t.Fatal("a wave opens and nobody answers")
	}
	if soak := c.order.Soak; soak > 0 && before.Open > 0 && w.now.Sub(w.soaking) < soak {
		w.t.Fatalf("wave %d opens %v after the one before had swapped", next.Open, w.now.Sub(w.soaking))
	}
	if c.order.Approve && before.Open > 0 && c.order.Approvals < before.Open {
		w.t.Fatalf("wave %d opens and nobody has approved it", next.Open)
	}
}
