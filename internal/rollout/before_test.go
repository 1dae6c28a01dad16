package rollout

import (
	"slices"
	"strings"
	"testing"
)

var (
	web   = map[string]string{"role": "web"}
	db    = map[string]string{"role": "db"}
	webUS = map[string]string{"role": "web", "zone": "us"}
	webEU = map[string]string{"role": "web", "zone": "eu"}
	inEU  = map[string]string{"zone": "eu"}
)

// orders is a history: each order follows the one before, which was done unless its halt says
// otherwise.
type orders struct {
	t     *testing.T
	order Order
	done  bool
}

func begin(t *testing.T) *orders {
	o, err := NewRollout("a", "catalog", 1, Plan{}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return &orders{t, o, true}
}

func (h *orders) rollout(version uint64, selected map[string]string) *orders {
	h.t.Helper()
	o, err := NewRollout(h.order.ID+"+", "catalog", version, Plan{Select: selected}, &h.order, h.done)
	if err != nil {
		h.t.Fatal(err)
	}
	return &orders{h.t, o, true}
}

func (h *orders) rollback(version uint64) *orders {
	h.t.Helper()
	o, err := NewRollback(h.order.ID+"-", version, h.order)
	if err != nil {
		h.t.Fatal(err)
	}
	return &orders{h.t, o, true}
}

func (h *orders) halted() *orders { return &orders{h.t, h.order.Halt(), false} }

// sends checks to which version a node is sent that has labels and a version, before the
// order's first wave: 0 if it is to stay with what it has.
func (h *orders) sends(why string, labels map[string]string, have, want uint64) {
	h.t.Helper()
	got := Desired(h.order, nil, nil, Node{Labels: labels, State: State{Have: have}})
	if got == have {
		got = 0
	}
	if got != want {
		h.t.Errorf("%s: a node of %v, which has %d, is sent to %d, not %d, by %+v", why, labels, have, got, want, h.order)
	}
}

// What a node should have depends on what was ordered for its labels, and not on whether it was
// there then.
func TestANodeGetsWhatWasOrderedLastForThoseLikeIt(t *testing.T) {
	h := begin(t).rollout(2, nil).rollout(3, web)
	h = h.rollout(4, web)
	h.sends("away while all got 2", db, 1, 2)
	h.sends("new", db, 0, 2)
	h.sends("one of the others", db, 2, 0)
	h.sends("a web one that lost its disk", web, 0, 3)

	h = begin(t).rollout(3, nil).rollout(3, web)
	h.sends("the same version again, for some: away", db, 1, 3)
	h.sends("new", db, 0, 3)

	h = begin(t).rollout(2, nil).rollout(3, web).rollout(4, db)
	h.sends("lost its disk", web, 0, 3)
	h.sends("waits for its wave", db, 2, 0)

	h = begin(t).rollout(2, nil)
	h = &orders{t, h.order.Halt(), true}
	h.rollout(3, web).sends("came after it was done, and halted since", db, 1, 0)
	if back := h.rollout(3, nil).order.Back(); back != 2 {
		t.Errorf("all had 2, and would go back to %d", back)
	}

	h = begin(t).rollout(2, nil).halted().rollout(3, web)
	h.sends("got what was halted then", db, 2, 0)
	h.sends("did not", db, 1, 0)
	h.sends("new", db, 0, 1)
}

func TestARollbackOfSomeLeavesTheOthersAlone(t *testing.T) {
	h := begin(t).rollout(2, web).rollout(3, db)
	if back := h.order.Back(); back != 1 { // and not 2, which was for others
		t.Errorf("it would go back to %d", back)
	}
	back := h.rollback(0)
	back.sends("one of the others", web, 2, 0)
	back.sends("one of the others, new", web, 0, 2)
	back.sends("one with neither label", nil, 1, 0)
	back.sends("one that it means", db, 3, 1)
	again := back.rollout(4, web)
	again.sends("away during the rollback", db, 3, 1)
	if more := again.rollout(5, web).order.Back(); more != 4 {
		t.Errorf("the same nodes had 4, and would go back to %d", more)
	}
	if all := again.rollout(5, nil).order.Back(); all != 1 {
		t.Errorf("all nodes had 1, and would go back to %d", all)
	}

	h = begin(t).rollout(4, nil).rollout(5, web).rollback(3)
	h.sends("a new one of the others", db, 0, 4)
	h.sends("one of the others", db, 4, 0)
	h.sends("one that it means", web, 5, 3)
}

func TestARollbackIsFollowedByARollout(t *testing.T) {
	h := begin(t).rollout(2, web).rollout(3, web).rollback(1).rollback(2).rollout(4, web)
	h.sends("went back, and forth again", web, 2, 0)
	h.sends("away during both", web, 3, 2)
	h.sends("went back twice", web, 1, 2)

	h = begin(t).rollout(2, web).rollback(0).rollout(2, inEU)
	h.sends("away, and not meant since", webUS, 2, 1)
	h.sends("away, and meant since", webEU, 2, 0)

	h = begin(t).rollout(2, nil).rollout(3, nil).rollback(1).rollout(2, nil).rollout(4, web)
	h.sends("away during the rollback", db, 3, 2)
}

func TestAHaltedRollbackTakesNobodyBack(t *testing.T) {
	h := begin(t).rollout(2, nil).rollout(3, nil).rollback(1).halted()
	h.sends("away until then", web, 3, 0)
	h.sends("has gone back", web, 1, 0)
	h.sends("lost its disk", web, 0, 1)
	if Beyond(h.order, nil, Node{Labels: web, State: State{Have: 3}}) {
		t.Error("a node that waits for the rollback counts as one to which something was pushed")
	}
	h = h.rollout(4, db)
	h.sends("away until then, and not meant since", web, 3, 0)
}

func TestAnUnpinnedNodeGoesBackFromEachPin(t *testing.T) {
	pin := Pin{Version: 3}.After(&Pin{Version: 2})
	free := Pin{}.After(&pin)
	for have, want := range map[uint64]uint64{2: 1, 3: 1, 4: 0} {
		if got := Desired(begin(t).order, &Progress{Order: "a", Phase: Done}, &free, Node{State: State{Have: have}}); got != want {
			t.Errorf("one with %d is sent to %d", have, got)
		}
	}
	for i := range 3 * uint64(mostFrom) {
		free = Pin{}.After(&Pin{Version: i + 1, From: free.From})
	}
	if n := len(free.From); n != mostFrom || free.From[n-1] != 3*mostFrom {
		t.Errorf("it remembers %d: %v", n, free.From)
	}
}

// The list of what was ordered does not grow with the orders, but with their selections.
func TestOrdersThatNobodyGoesByAreForgotten(t *testing.T) {
	h := begin(t)
	for version := uint64(2); version < 40; version++ {
		switch version % 4 {
		case 0:
			h = h.rollout(version, web)
		case 1:
			h = h.rollout(version, db).halted().rollout(version, db).halted()
		case 2:
			h = h.rollout(version, db)
		case 3:
			h = h.rollback(version - 2)
		}
	}
	if n := len(h.order.Before); n > 6 {
		t.Errorf("%d are remembered: %+v", n, h.order.Before)
	}
	for range 40 { // nor with how often one is repeated
		h = h.rollout(h.order.Version, nil)
		h = h.rollout(h.order.Version, web).halted()
	}
	if n := len(h.order.Before); n > 9 {
		t.Errorf("%d are remembered: %+v", n, h.order.Before)
	}
	if h = h.rollout(50, nil).rollout(51, nil); len(h.order.Before) != 1 {
		t.Errorf("after one for all: %+v", h.order.Before)
	}
	if !strings.HasPrefix(h.order.ID, "a") || h.order.Newest != 51 {
		t.Errorf("%+v", h.order)
	}
}

// TestAVersionThatIsRolledOutAgainLeavesTheWayBack, as by a script that runs twice; and what a
// collection of old versions leaves for it.
func TestAVersionThatIsRolledOutAgainLeavesTheWayBack(t *testing.T) {
	before := begin(t).rollout(2, nil).rollout(3, nil)
	running := before.rollout(3, nil)
	running.done = false
	for why, h := range map[string]*orders{
		"again":              before.rollout(3, nil),
		"three times":        before.rollout(3, nil).rollout(3, nil),
		"while it runs":      running.rollout(3, nil),
		"for some":           before.rollout(3, web),
		"for some, then all": before.rollout(3, web).rollout(3, nil),
		"after a way back":   before.rollback(0).rollout(3, nil).rollout(3, nil),
	} {
		if back := h.order.Back(); back != 2 || !slices.Contains(h.order.Names(), 2) {
			t.Errorf("%s: it would go back to %d by %+v", why, back, h.order)
		}
		h.rollback(0).sends(why, web, 3, 2)
		if next := h.rollout(4, nil).order; next.Back() != 3 || len(next.Before) > 2 {
			t.Errorf("%s: the next would go back to %d by %+v", why, next.Back(), next)
		}
	}
	running.rollout(3, nil).sends("new, while it runs again", web, 0, 3)
	h := begin(t).rollout(2, web).rollout(3, nil).rollout(3, web)
	if back := h.order.Back(); back != 2 {
		t.Errorf("those had 2, and would go back to %d", back)
	}
	if back := h.rollout(3, nil).order.Back(); back != 1 {
		t.Errorf("all had 1, and would go back to %d", back)
	}
}
