package rollout

import (
	"slices"
	"testing"
	"time"
)

func TestAWaveWhoseNodesAreAllPinnedSaysSo(t *testing.T) {
	o, _ := NewRollout("a", "catalog", 7, Plan{Canary: 1, Soak: time.Minute}, nil, false)
	p := Progress{Order: "a", Phase: Swapping, Waves: [][]string{{"m"}, {"n"}}, Open: 1}
	view := View{Nodes: map[string]Node{"m": {Name: "m", State: State{Have: 7, Pinned: 6}}, "n": {Name: "n"}}, Settled: true}
	if next, _ := Step(&p, o, view); next.Phase != Swapping || next.Reason != AllPinned {
		t.Errorf("%+v", next)
	}
	// As it does before there are waves; but only once all that answer have been heard.
	for settled, want := range map[bool]string{true: AllPinned, false: "the controller is new, and is finding out which nodes answer"} {
		view := View{Nodes: map[string]Node{"m": {Name: "m", State: State{Pinned: 6}}}, Settled: settled}
		p, _ := Step(nil, o, view)
		if p, _ = Step(&p, o, view); p.Phase != Preparing || p.Reason != want {
			t.Errorf("%+v", p)
		}
	}
}

// A node that could not follow an order, and was pinned then, takes no part in it.
func TestWhoIsPinnedDoesNotFail(t *testing.T) {
	o, _ := NewRollout("a", "catalog", 7, Plan{}, nil, false)
	p := Progress{Order: "a", Phase: Swapping, Waves: [][]string{{"m", "n"}}, Open: 1}
	cant := &Failure{Order: "a", Version: 7, Why: "no room"}
	view := View{Settled: true, Nodes: map[string]Node{
		"m": {Name: "m", State: State{Have: 6, Pinned: 6, Failed: cant}}, "n": {Name: "n", State: State{Have: 7, Healthy: 7}}}}
	if next, _ := Step(&p, o, view); next.Phase != Done || len(next.Failed) != 0 {
		t.Errorf("%+v", next)
	}
}

// What was written to before an order is not what is ordered; the node is about to say that.
func TestWhatWasWrittenToBeforeIsNotWhatIsOrdered(t *testing.T) {
	o, _ := NewRollout("b", "catalog", 7, Plan{}, nil, false)
	back := o
	back.Kind = Rollback
	for _, test := range []struct {
		o     Order
		under string
		phase Phase
	}{{o, "", Done}, {o, "b", Done}, {o, "a", Swapping}, {back, "a", Done}} {
		p := Progress{Order: "b", Phase: Swapping, Waves: [][]string{{"n"}}, Open: 1}
		view := View{Nodes: map[string]Node{"n": {Name: "n", State: State{Have: 7, Healthy: 7, WrittenUnder: test.under}}}, Settled: true}
		if next, _ := Step(&p, test.o, view); next.Phase != test.phase {
			t.Errorf("%+v: %+v", test, next)
		}
	}
}

// A node that dies of a version is no reason to wait with the way back, nor is one that was
// killed a moment before.
func TestARollbackDoesNotWaitForWhoStopsAnswering(t *testing.T) {
	seven, _ := NewRollout("a", "catalog", 7, Plan{}, nil, false)
	o, _ := NewRollback("b", 6, seven)
	view := View{Nodes: map[string]Node{"m": {Name: "m", State: State{Have: 6}}, "n": {Name: "n", State: State{Have: 7}}}, Settled: true}
	p, _ := Step(nil, o, view)
	for changed := true; changed; {
		p, changed = Step(&p, o, view)
	}
	if p.Phase != Swapping {
		t.Fatalf("before n has gone back: %+v", p)
	}
	delete(view.Nodes, "n")
	for changed := true; changed; {
		p, changed = Step(&p, o, view)
	}
	if p.Phase != Swapping {
		t.Fatalf("before m has been asked whether it is in order: %+v", p)
	}
	view.Nodes["m"] = Node{Name: "m", State: State{Have: 6, Healthy: 6}}
	for changed := true; changed; {
		p, changed = Step(&p, o, view)
	}
	if p.Phase != Done || !slices.Equal(p.Silent, []string{"n"}) || len(p.Failed) != 0 {
		t.Errorf("%+v", p)
	}
}
