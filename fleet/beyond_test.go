package fleet

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"strings"
	"testing"

	"hotswap/internal/rollout"
	"hotswap/swapper"
)

// push pushes a file to the program's database, as `hotswap cp` does.
func (p *program) push(file string) {
	p.t.Helper()
	for {
		f, err := os.Open(file)
		if err != nil {
			p.t.Fatal(err)
		}
		_, err = swapper.Push(p.t.Context(), p.node.databases["catalog"].db, f, swapper.PushOptions{Source: file})
		f.Close()
		if err == nil {
			return
		}
		if !errors.Is(err, swapper.ErrBusy) { // the node's own swap ends a moment after it is told
			p.t.Fatal(err)
		}
	}
}

func TestANodeThatWasGivenANewerVersionByHandHoldsNoOrderUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a, b := w.program("a", one, nil), w.program("b", one, nil)
	w.publish("catalog")
	w.publish("catalog")
	four := w.publish("catalog")
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)

	b.push(four)
	w.rollout(2, rollout.Plan{})
	if halted := w.phase(rollout.Halted, 2); len(halted.Failed) != 1 || !strings.Contains(halted.Failed[0].Why, "it has catalog@4, which is newer") {
		t.Errorf("%+v", halted)
	}
	a.has(1)
	w.pin("b", 2) // as its failure says
	b.has(2)
	w.pin("b", 0)
	w.order("catalog", func(before *rollout.Order, _ bool) (rollout.Order, error) { return before.Resume(), nil })
	a.has(2)
	b.has(2)
	if done := w.phase(rollout.Done, 2); len(done.Failed) > 0 {
		t.Errorf("%+v", done)
	}

	a.push(four)
	b.push(four) // which was pinned once, but not to this
	w.rollback()
	if done := w.phase(rollout.Done, 1); len(done.Failed) != 2 {
		t.Errorf("%+v", done)
	}
	a.has(4)
	b.has(4)
}

// TestAPinEndsAFailureToFollow: whoever is pinned takes part in no rollout.
func TestAPinEndsAFailureToFollow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a := w.program("a", one, func(c *Config) {
		c.Validate = func(_ context.Context, v Version, _ *sql.DB) error {
			if v.Number == 2 {
				return errors.New("not for me")
			}
			return nil
		}
	})
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{})
	w.phase(rollout.Halted, 2)
	if s := a.status(); !strings.Contains(s.Failed, "not for me") {
		t.Fatalf("%+v", s)
	}
	w.pin("a", 1)
	eventually(t, "it is pinned, and in order", func() bool { s := a.status(); return s.Pinned == 1 && s.Failed == "" })
}
