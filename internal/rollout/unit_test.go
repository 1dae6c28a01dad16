package rollout

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestWavesCoverEachNodeOnce(t *testing.T) {
	for _, plan := range []Plan{{}, {Canary: 1}, {Canary: 3, Waves: []int{10, 50}}, {Waves: []int{1, 2, 3, 100}}, {Canary: 50}} {
		for n := 1; n < 30; n++ {
			var names []string
			for i := range n {
				names = append(names, string(rune('A'+i)))
			}
			waves := plan.plan(slices.Clone(names))
			if all := slices.Concat(waves...); !slices.Equal(all, names) {
				t.Fatalf("%+v of %d nodes: %v", plan, n, waves)
			}
			for _, wave := range waves {
				if len(wave) == 0 {
					t.Fatalf("%+v of %d nodes has an empty wave: %v", plan, n, waves)
				}
			}
		}
	}
}

func TestOrdersThatLeadBackAreRefused(t *testing.T) {
	six, err := NewRollout("a", "catalog", 6, Plan{}, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewRollback("b", 0, six); err == nil || !strings.Contains(err.Error(), "no version is known that catalog had before catalog@6") {
		t.Fatal(err)
	}
	if _, err := NewRollout("b", "catalog", 5, Plan{}, &six, true); err == nil || !strings.Contains(err.Error(), "use rollback catalog@5") {
		t.Fatal(err)
	}
	if _, err := NewRollback("b", 7, six); err == nil || !strings.Contains(err.Error(), "use rollout catalog@7") {
		t.Fatal(err)
	}
	if err := (Plan{Waves: []int{50, 10}}).Check(); err == nil {
		t.Fatal("waves that shrink are accepted")
	}
}

func TestARollbackGoesToWhatWasThereBefore(t *testing.T) {
	six, _ := NewRollout("a", "catalog", 6, Plan{}, nil, false)
	seven, _ := NewRollout("b", "catalog", 7, Plan{}, &six, true)
	if seven.Back() != 6 {
		t.Fatalf("%+v", seven)
	}
	eight, _ := NewRollout("c", "catalog", 8, Plan{}, &seven, false) // seven was halted
	if eight.Back() != 6 {
		t.Fatalf("%+v", eight)
	}
	back, err := NewRollback("d", 0, eight)
	if err != nil || back.Version != 6 {
		t.Fatalf("%+v: %v", back, err)
	}
	for _, have := range []uint64{7, 8} {
		if want := Desired(back, nil, nil, Node{State: State{Have: have}}); want != 6 {
			t.Fatalf("a node with %d is sent to %d", have, want)
		}
	}
	again, _ := NewRollout("e", "catalog", 8, Plan{}, &back, false)
	if again.Withdrawn(8, nil) || !again.Withdrawn(7, nil) {
		t.Fatalf("%+v", again)
	}
}

// A controller that dies loses nothing: what was counted is in the record.
func TestARolloutOfThreeWavesByHand(t *testing.T) {
	now := time.Unix(1e9, 0)
	o, _ := NewRollout("a", "catalog", 7, Plan{Canary: 1, Waves: []int{50}, Soak: time.Minute, Approve: true}, nil, false)
	nodes := map[string]Node{}
	for _, name := range []string{"a", "b", "c", "d"} {
		nodes[name] = Node{Name: name}
	}
	set := func(change func(*State), names ...string) {
		for _, name := range names {
			n := nodes[name]
			change(&n.State)
			nodes[name] = n
		}
	}
	var p *Progress
	var entered time.Time
	expect := func(phase Phase, open int) {
		t.Helper()
		for changed := true; changed; {
			var next Progress
			next, changed = Step(p, o, View{Nodes: nodes, Settled: true, Lasted: now.Sub(entered)})
			if p == nil || next.At(now).Entered() != p.Entered() {
				entered = now
			}
			next = next.At(now)
			p = &next
		}
		if p.Phase != phase || p.Open != open {
			t.Fatalf("%s with %d open instead of %s with %d: %+v", p.Phase, p.Open, phase, open, p)
		}
	}
	expect(Preparing, 0)
	set(func(s *State) { s.Prepared = 7 }, "a", "b", "c")
	expect(Preparing, 0) // d is not ready
	set(func(s *State) { s.Prepared = 7 }, "d")
	expect(Swapping, 1)
	set(func(s *State) { s.Have, s.Healthy = 7, 7 }, "a")
	expect(Soaking, 1)
	now = now.Add(59 * time.Second)
	expect(Soaking, 1)
	now = now.Add(time.Second)
	expect(Awaiting, 1)
	o = o.Allow(1)
	expect(Swapping, 2)
	set(func(s *State) { s.Have, s.Healthy = 7, 7 }, "b")
	expect(Soaking, 2)
	set(func(s *State) { s.Failed = &Failure{"a", 0, 7, "prices are gone"} }, "b")
	expect(Halted, 2)
	if why := (Failed{"b", "prices are gone"}); p.Reason != "1 node failed, and --max-failed is 0" || !slices.Contains(p.Failed, why) {
		t.Fatalf("%+v", p)
	}
	set(func(s *State) { s.Failed = nil }, "b")
	o = o.Resume().Allow(2)
	now = now.Add(time.Minute)
	expect(Soaking, 2)
	now = now.Add(time.Minute)
	expect(Swapping, 3)
	set(func(s *State) { s.Have, s.Healthy = 7, 7 }, "c", "d")
	expect(Soaking, 3)
	now = now.Add(time.Minute)
	expect(Done, 3)
}

func TestACanaryThatStopsAnsweringAfterItsSwapHoldsTheRolloutAndThenFails(t *testing.T) {
	now := time.Unix(1e9, 0)
	o, _ := NewRollout("a", "catalog", 7, Plan{Canary: 1, Soak: time.Minute, Timeout: time.Hour}, nil, false)
	p := &Progress{Order: "a", Phase: Soaking, Since: now, Waves: [][]string{{"a"}, {"b"}}, Open: 1}
	view := View{Nodes: map[string]Node{"b": {Name: "b", State: State{Prepared: 7}}}, Settled: true, Lasted: 2 * time.Minute}
	next, _ := Step(p, o, view)
	if next.Open != 1 || next.Phase != Soaking {
		t.Fatalf("%+v", next)
	}
	// Before it is silent, nothing is known of it since the soak ended either.
	view.Nodes["a"] = Node{Name: "a", Quiet: 61 * time.Second, State: State{Have: 7, Healthy: 7}}
	if early, _ := Step(p, o, view); early.Phase != Soaking {
		t.Fatalf("%+v", early)
	}
	delete(view.Nodes, "a")
	view.Lasted = 2 * time.Hour
	next, _ = Step(&next, o, view)
	next, _ = Step(&next, o, view)
	if next.Phase != Halted || !strings.HasPrefix(next.Failed[0].Why, "has stopped answering") {
		t.Fatalf("%+v", next)
	}
}

func TestANodeThatIsStartedAgainWithOtherLabelsIsNotWaitedFor(t *testing.T) {
	now := time.Unix(1e9, 0)
	web := map[string]string{"role": "web"}
	o, _ := NewRollout("a", "catalog", 7, Plan{Select: web}, nil, false)
	p := &Progress{Order: "a", Phase: Swapping, Since: now, Waves: [][]string{{"a", "b"}}, Open: 1}
	view := View{Settled: true, Nodes: map[string]Node{
		"a": {Name: "a", Labels: web, State: State{Have: 7, Healthy: 7}},
		"b": {Name: "b", Labels: web, State: State{Have: 6}},
	}}
	if next, _ := Step(p, o, view); next.Phase != Swapping {
		t.Fatalf("%+v", next)
	}
	view.Nodes["b"] = Node{Name: "b", Labels: map[string]string{"role": "db"}, State: State{Have: 6}}
	if next, _ := Step(p, o, view); next.Phase != Done {
		t.Fatalf("%+v", next)
	}
}

// What the controller writes must stay within what the engine takes, a megabyte.
func TestAProgressOfTenThousandThatFailStaysSmall(t *testing.T) {
	o := Order{ID: "a", Kind: Rollout, Version: 2}
	view := View{Settled: true, Nodes: map[string]Node{}}
	for i := range 10_000 {
		name := fmt.Sprintf("node-%05d", i)
		view.Nodes[name] = Node{Name: name, State: State{Have: 1, Failed: &Failure{Order: "a", Version: 2, Why: strings.Repeat("why ", 50)}}}
	}
	var p *Progress
	for {
		next, changed := Step(p, o, view)
		if !changed {
			break
		}
		p = &next
	}
	if p.Phase != Halted || len(p.Failed) != 10_000 {
		t.Errorf("%s, %d failed", p.Phase, len(p.Failed))
	}
	p.Waves = nil // which are kept apart
	if text, err := json.Marshal(p); err != nil || len(text) > 500_000 {
		t.Errorf("%d bytes: %v", len(text), err)
	}
}

// TestANewControllerSaysWhatItWaitsFor: it may be seven seconds, in which nothing moves.
func TestANewControllerSaysWhatItWaitsFor(t *testing.T) {
	o, _ := NewRollout("a", "catalog", 7, Plan{}, nil, false)
	p, _ := Step(nil, o, View{})
	view := View{Nodes: map[string]Node{"a": {Name: "a"}}}
	next, changed := Step(&p, o, view)
	if !changed || !strings.Contains(next.Reason, "finding out which nodes answer") {
		t.Errorf("%+v", next)
	}
	view.Settled = true
	if next, _ = Step(&next, o, view); next.Reason != "" || len(next.Waves) != 1 {
		t.Errorf("%+v", next)
	}
}

// TestANodeIsSilentIfItWasThereWhenTheWavesWereFixed: of two ways in which a rollout ends
// while a node is gone, one says that it is silent. The other knows nothing of it, as it was
// forgotten before. It gets the version when it is back in both.
func TestANodeIsSilentIfItWasThereWhenTheWavesWereFixed(t *testing.T) {
	o, _ := NewRollout("a", "catalog", 7, Plan{}, nil, false)
	for there, silent := range map[bool]int{true: 1, false: 0} {
		view := View{Nodes: map[string]Node{"a": {Name: "a", State: State{Have: 7, Healthy: 7}}}, Settled: true}
		if there {
			view.Nodes["gone"] = Node{Name: "gone"}
		}
		p, _ := Step(nil, o, view)
		p, _ = Step(&p, o, view) // fixes the waves
		delete(view.Nodes, "gone")
		for changed := true; changed; {
			p, changed = Step(&p, o, view)
		}
		if p.Phase != Done || len(p.Silent) != silent {
			t.Errorf("there %t: %+v", there, p)
		}
		if want := Desired(o, &p, nil, Node{Name: "gone", State: State{Have: 6}}); want != 7 {
			t.Errorf("there %t: it should have %d when it is back", there, want)
		}
	}
}

// What a version's number means goes along with it from order to order, for as long as it is
// named.
func TestATagStaysWithItsVersion(t *testing.T) {
	six, _ := NewRollout("a", "catalog", 6, Plan{}, nil, false)
	six = six.Tagged(6, "six")
	seven, _ := NewRollout("b", "catalog", 7, Plan{}, &six, true)
	seven = seven.Tagged(7, "seven")
	if Tag(&seven, nil, 7) != "seven" || Tag(&seven, nil, seven.Back()) != "six" || len(six.Tags) != 1 {
		t.Errorf("%v, %v", six.Tags, seven.Tags)
	}
	back, _ := NewRollback("c", 0, seven)
	if Tag(&back, nil, back.Version) != "six" || Tag(&back, nil, 7) != "seven" {
		t.Errorf("%v", back.Tags)
	}
	pin := &Pin{Version: 7, Tag: "pinned"}
	if Tag(&seven, pin, 7) != "pinned" || Tag(&seven, pin, 6) != "" || Tag(nil, nil, 6) != "" {
		t.Error("a pin goes before the order")
	}
	p := Progress{Order: "b", Phase: Swapping, Waves: [][]string{{"n"}}, Open: 1}
	for tag, phase := range map[string]Phase{"another": Swapping, "seven": Done} {
		view := View{Nodes: map[string]Node{"n": {Name: "n", State: State{Have: 7, Healthy: 7, Tag: tag}}}, Settled: true}
		if next, _ := Step(&p, seven, view); next.Phase != phase {
			t.Errorf("with a node that has %s it is %s", tag, next.Phase)
		}
	}
}

// Of two nodes that fail at once, the second is counted although the first has halted it.
func TestAHaltNamesAllThatHaveFailed(t *testing.T) {
	o, _ := NewRollout("a", "catalog", 7, Plan{}, nil, false)
	o = o.Resume()
	p := Progress{Order: "a", Attempt: 1, Phase: Preparing, Waves: [][]string{{"m", "n"}}}
	failed := func(name string) Node {
		return Node{Name: name, State: State{Failed: &Failure{Order: "a", Attempt: 1, Version: 7, Why: "no room"}}}
	}
	view := View{Nodes: map[string]Node{"m": {Name: "m"}, "n": failed("n")}, Settled: true}
	p, _ = Step(&p, o, view)
	view.Nodes["m"] = failed("m")
	p, changed := Step(&p, o, view)
	if !changed || p.Phase != Halted || len(p.Failed) != 2 || !strings.HasPrefix(p.Reason, "2 nodes failed") {
		t.Errorf("%+v", p)
	}
	if _, again := Step(&p, o, view); again {
		t.Error("it is counted again")
	}
}
