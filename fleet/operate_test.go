package fleet

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"hotswap/internal/orders"
	"hotswap/internal/rollout"
	"hotswap/sockserver"
)

var _ sockserver.Fleet = (*Node)(nil)

func TestAProgramsPageHaltsARolloutAndGoesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a, b := w.program("a", one, nil), w.program("b", one, nil)
	eventually(t, "it is connected", func() bool { return a.node.Status().Connected })
	if err := a.node.Halt(t.Context(), "catalog"); !errors.Is(err, orders.ErrNothing) {
		t.Errorf("nothing is to be halted: %v", err)
	}
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{Canary: 1, Approve: true})
	w.phase(rollout.Awaiting, 2)
	var seen struct {
		Channels []struct {
			Headline string
			Versions []struct{ Version string }
			MayHalt  bool `json:"may_halt"`
		}
	}
	text, err := a.node.Overview(t.Context())
	if err == nil {
		err = json.Unmarshal(text, &seen)
	}
	if err != nil || len(seen.Channels) != 1 || len(seen.Channels[0].Versions) != 2 || !seen.Channels[0].MayHalt {
		t.Errorf("%s: %v", text, err)
	}
	if err := a.node.Halt(t.Context(), "catalog"); err != nil {
		t.Fatal(err)
	}
	w.phase(rollout.Halted, 2)
	if err := a.node.Halt(t.Context(), "catalog"); !errors.Is(err, orders.ErrSettled) {
		t.Errorf("halted twice: %v", err)
	}
	if err := b.node.Rollback(t.Context(), "catalog"); err != nil {
		t.Fatal(err)
	}
	a.has(1)
	b.has(1)
}

// An order that a node writes is not signed, and would take the place of one that is.
func TestAProgramsPageOrdersNothingWhereOrdersAreSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.program("a", w.publish("catalog"), func(c *Config) {
		c.TrustedKeys = []string{"ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
	})
	for _, change := range []error{a.node.Halt(t.Context(), "catalog"), a.node.Rollback(t.Context(), "catalog")} {
		if !errors.Is(change, errSigned) || !strings.Contains(change.Error(), "--key FILE") {
			t.Errorf("%v", change)
		}
	}
}
