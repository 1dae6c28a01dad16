package fleet

import (
	"context"
	"testing"
	"time"

	"hotswap/internal/fleetview"
	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// endless puts a lease into the engine that never expires, as one is whose end was lost.
func (w *world) endless(value string) {
	w.t.Helper()
	kv, err := w.engine.Fleet(w.t.Context())
	if err == nil {
		_, err = kv.PutString(w.t.Context(), "lease", value)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestALeaseThatDoesNotExpireIsTakenOver(t *testing.T) {
	t.Parallel()
	for name, lease := range map[string]string{"of a node": `{"node":"gone","instance":"x"}`, "damaged": `{`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.endless(lease)
			a := w.program("a", w.publish("catalog"), func(c *Config) { c.overdue = 2 * records.LeaseRenewal })
			w.rollout(1, rollout.Plan{})
			w.phase(rollout.Done, 1)
			b := w.program("b", a.path, func(c *Config) { c.overdue = 2 * records.LeaseRenewal })
			eventually(t, "b has it, too", func() bool { return b.status().Version == 1 })
			all, err := w.recs.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if s := fleetview.Of(all, ""); s.Controller != "a" {
				t.Errorf("the controller is %q: %s", s.Controller, s.WithoutController())
			}
		})
	}
}

// TestAControllerThatWasStoppedWritesNothing before it has begun anew: another one may have followed it.
func TestAControllerThatWasStoppedWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.endless(`{"node":"another","instance":"x"}`)
	a := w.program("a", w.publish("catalog"), nil)
	eventually(t, "it is connected", func() bool { return a.node.Status().Connected })
	w.rollout(1, rollout.Plan{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := newController(a.node, &tenure{renewed: time.Now().Add(-2 * records.LeaseTTL)}).run(ctx); err != nil || ctx.Err() != nil {
		t.Errorf("it does not begin anew: %v", err)
	}
	if p, _, err := w.recs.Progress(t.Context(), "catalog"); err != nil || p != nil {
		t.Errorf("%+v: %v", p, err)
	}
}
