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
		"tried again: no engine":     func(_ *records.Node, d *records.Database) { d.Error = "no engine" },
		"written to since catalog@1": func(_ *records.Node, d *records.Database) { d.Content = "written to since catalog@1" },
		"in order":                   func(*records.Node, *records.Database) {},
	} {
		n := records.Node{Node: "web-1", Clock: at.Add(time.Second), At: at}
		db := records.Database{Phase: records.Idle, State: rollout.State{Have: 1, Healthy: 1}}
		change(&n, &db)
		n.Databases = map[string]records.Database{"catalog": db}
		fleet := Of(&records.Everything{Orders: map[string]rollout.Order{"catalog": o}, Nodes: map[string]records.Node{"web-1": n}}, "")
		if got := fleet.Channels[0].Nodes[0].State(&o); !strings.Contains(got, words) {
			t.Errorf("%q does not say %q", got, words)
		}
	}
	silent := Of(&records.Everything{Orders: map[string]rollout.Order{"catalog": o},
		Progress: map[string]rollout.Progress{"catalog": {Order: "x", Waves: [][]string{{"web-1"}}}}}, "")
	if got := silent.Channels[0].Nodes[0].State(&o); got != "silent" {
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
