package fleetview

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// TestWhatIsWrongWithANodeHasWords: what nobody would find out otherwise is in its line.
func TestWhatIsWrongWithANodeHasWords(t *testing.T) {
	at := time.Now()
	o := rollout.Order{ID: "x", Channel: "catalog", Version: 2}
	for words, change := range map[string]func(*records.Node, *records.Database){
		"its clock is off by 1h0m0s":                                func(n *records.Node, _ *records.Database) { n.Clock = at.Add(time.Hour) },
		"its clock is off by -1h0m0s":                               func(n *records.Node, _ *records.Database) { n.Clock = at.Add(-time.Hour) },
		"its name is taken by another program, too: process 7 on b": func(n *records.Node, _ *records.Database) { n.Twin = "process 7 on b" },
		"failed: the schemas differ": func(_ *records.Node, d *records.Database) {
			d.Failed = &rollout.Failure{Order: "x", Why: "the schemas differ"}
		},
		"refused: not signed": func(_ *records.Node, d *records.Database) {
			d.Refused = &rollout.Failure{Order: "x", Why: "not signed"}
		},
		"will try again: no engine":  func(_ *records.Node, d *records.Database) { d.Error = "no engine" },
		"written to since catalog@1": func(_ *records.Node, d *records.Database) { d.Content = "written to since catalog@1" },
		"in order":                   func(*records.Node, *records.Database) {},
	} {
		n := records.Node{Node: "web-1", Clock: at.Add(time.Second), At: at}
		db := records.Database{Phase: records.Idle, State: rollout.State{Have: 1, Healthy: 1}}
		change(&n, &db)
		n.Databases = map[string]records.Database{"catalog": db}
		fleet := Of(&records.Everything{Orders: map[string]rollout.Order{"catalog": o}, Nodes: map[string]records.Node{"web-1": n}}, "")
		if got := fleet.Channels[0].Nodes[0].State("catalog", &o); !strings.Contains(got, words) {
			t.Errorf("%q does not say %q", got, words)
		}
	}
	silent := Of(&records.Everything{Orders: map[string]rollout.Order{"catalog": o},
		Progress: map[string]rollout.Progress{"catalog": {Order: "x", Waves: [][]string{{"web-1"}}}}}, "")
	if got := silent.Channels[0].Nodes[0].State("catalog", &o); got != "silent" {
		t.Errorf("a node that does not answer is %q", got)
	}
}

// TestAnOverviewOfAThousandIsSmall, and begins with what is wrong.
func TestAnOverviewOfAThousandIsSmall(t *testing.T) {
	all := &records.Everything{Orders: map[string]rollout.Order{"catalog": {ID: "x", Channel: "catalog", Version: 2}}, Nodes: map[string]records.Node{}}
	for i := range 1000 {
		name := fmt.Sprintf("web-%03d", i)
		db := records.Database{State: rollout.State{Have: 2}}
		if i == 777 {
			db.State = rollout.State{Have: 1, Failed: &rollout.Failure{Order: "x", Version: 2, Why: "no room"}}
		}
		all.Nodes[name] = records.Node{Node: name, Databases: map[string]records.Database{"catalog": db}}
	}
	o := Of(all, "").Overview().Channels[0]
	if o.Nodes[0].Node != "web-777" || o.Failed != 1 || o.More != 800 || o.Versions[0] != (NodesOfVersion{"catalog@2", 999}) {
		t.Errorf("%+v", o.Nodes[0])
	}
	if text, err := json.Marshal(o); err != nil || len(text) > 30_000 {
		t.Errorf("%d bytes: %v", len(text), err)
	}
}

// TestHowFarARolloutIsHasWords, which say each thing once, and what an operator can do.
func TestHowFarARolloutIsHasWords(t *testing.T) {
	since := time.Date(2026, 5, 1, 12, 0, 0, 0, time.Local)
	o := rollout.Order{ID: "x", Channel: "catalog", Version: 2, Plan: rollout.Plan{Soak: 90 * time.Second}}
	waves := [][]string{{"a"}, {"b", "c"}}
	failed := []rollout.Failed{{Node: "a", Why: "an item costs -5"}}
	for want, p := range map[string]rollout.Progress{
		"preparing": {Phase: rollout.Preparing, Waves: waves},
		"preparing: no node that is selected answers":                       {Phase: rollout.Preparing, Reason: "no node that is selected answers"},
		"swapping: wave 1 of 2 is open; 1 failed; 1 silent":                 {Phase: rollout.Swapping, Waves: waves, Open: 1, Failed: failed, Silent: []string{"b"}},
		"soaking until 12:01:30: wave 1 of 2 is open":                       {Phase: rollout.Soaking, Since: since, Waves: waves, Open: 1},
		"waits for approval of wave 2 of 2":                                 {Phase: rollout.Awaiting, Waves: waves, Open: 1, Reason: "wave 2 of 2 has to be approved"},
		"halted: wave 1 of 2 is open; 1 node failed, and --max-failed is 0": {Phase: rollout.Halted, Waves: waves, Open: 1, Failed: failed, Reason: "1 node failed, and --max-failed is 0"},
		"halted by an operator: wave 1 of 2 is open; 1 failed":              {Phase: rollout.Halted, Waves: waves, Open: 1, Failed: failed, Reason: rollout.ByOperator},
		"done": {Phase: rollout.Done, Waves: waves, Open: 2},
	} {
		if got := ProgressLine(o, p); got != "catalog@2 "+want {
			t.Errorf("%q, and not %q", got, want)
		}
	}
	o.Halted = true
	done := Channel{Order: &o, Progress: &rollout.Progress{Phase: rollout.Done}}
	if got := done.Headline(); got != "catalog@2 done; halted since: a node that comes later does not get it" {
		t.Error(got)
	}
}

// TestFailuresOfOneReasonAreToldOnce: a hundred nodes that lack the same thing say one thing.
func TestFailuresOfOneReasonAreToldOnce(t *testing.T) {
	var failed []rollout.Failed
	for i := range 7 {
		failed = append(failed, rollout.Failed{Node: fmt.Sprint("web-", i), Why: "no room"})
	}
	failed = append(failed, rollout.Failed{Node: "db-1", Why: "an item costs -5"}, rollout.Failed{Node: "db-2"})
	want := "web-0, web-1, web-2, web-3, web-4 and 2 more: no room; db-1: an item costs -5"
	if got := Failures(failed); got != want {
		t.Error(got)
	}
}

// TestAPinSaysToWhatAndWhy, and what a node refuses is not said twice.
func TestAPinSaysToWhatAndWhy(t *testing.T) {
	db := records.Database{Phase: records.Idle, State: rollout.State{Have: 1, Healthy: 1, Pinned: 1}}
	all := &records.Everything{Nodes: map[string]records.Node{"a": {Node: "a", Databases: map[string]records.Database{"catalog": db}}},
		Pins: map[string]map[string]rollout.Pin{"catalog": {"a": {Version: 1, Message: "to compare"}}}}
	if got := Of(all, "").Channels[0].Nodes[0].State("catalog", nil); got != "in order; pinned to catalog@1 (to compare)" {
		t.Error(got)
	}
	diverged := Node{Database: records.Database{Content: "the live database is not a version of catalog",
		State: rollout.State{Failed: &rollout.Failure{Why: "diverged: the live database is not a version of catalog"}}}}
	if got := diverged.State("catalog", nil); got != "failed: "+diverged.Failed.Why {
		t.Error(got)
	}
	// What was in order is not, once it was written to.
	written := Node{Database: records.Database{Phase: records.Idle, Content: "the live database was written to since catalog@1",
		State: rollout.State{Have: 1, Healthy: 1, Pinned: 1}}}
	if got := written.State("catalog", nil); got != written.Content+"; pinned to catalog@1" {
		t.Error(got)
	}
}

// TestThatNobodyControlsHasWords, which say who should.
func TestThatNobodyControlsHasWords(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.Local)
	lease := func(node string, age time.Duration) *records.Everything {
		return &records.Everything{Lease: &records.Lease{Node: node}, LeaseAt: at, LeaseAge: age}
	}
	for want, all := range map[string]*records.Everything{
		"": lease("web-1", time.Second),
		"no node is the controller: nothing moves until one is":                                   {},
		"web-1 has its lease, and has not renewed it since 2026-05-01 12:00:00":                   lease("web-1", time.Minute),
		"something that is not a node has its lease, and has not renewed it since 2026-05-01 12:": lease("", time.Second),
	} {
		if s := Of(all, ""); !strings.Contains(s.WithoutController(), want) || (want == "") != (s.Controller == "web-1") {
			t.Errorf("%q, and not %q", s.WithoutController(), want)
		}
	}
}

// TestAClockThatIsOffIsTheOneThatTwoOthersContradict: the engine's, or a node's.
func TestAClockThatIsOffIsTheOneThatTwoOthersContradict(t *testing.T) {
	at := time.Now()
	for _, test := range []struct {
		node, engine time.Duration // ahead of this machine's
		says         string        // of the engine
		off          time.Duration // of the node
	}{
		{0, 0, "", 0},
		{time.Hour, 0, "", time.Hour},
		{0, time.Hour, "the engine's clock is ahead of this machine's by 1h0m0s", 0},
		{time.Second, time.Hour, "the engine's clock is ahead of this machine's by 1h0m0s", 0},
		{0, -time.Hour, "the engine's clock is behind this machine's by 1h0m0s", 0},
		{time.Minute, time.Hour, "the engine's clock is ahead of this machine's by 1h0m0s", time.Minute},
		{time.Hour, time.Hour, "the engine's clock is ahead of this machine's by 1h0m0s", 0}, // this machine's is the one
	} {
		n := records.Node{Node: "a", At: at.Add(test.engine), Clock: at.Add(test.node), Databases: map[string]records.Database{"catalog": {}}}
		s := Of(&records.Everything{Nodes: map[string]records.Node{"a": n}, Ahead: test.engine}, "")
		if got := s.Channels[0].Nodes[0].ClockOff; s.EngineClock() != test.says || got != test.off {
			t.Errorf("%+v: %q, and the node's %v", test, s.EngineClock(), got)
		}
	}
}
