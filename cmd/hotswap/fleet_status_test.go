package main

import (
	"strings"
	"testing"

	"hotswap/internal/fleetview"
	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// TestTheStatusOfAFleetFitsTheTerminal, and is a line for each node elsewhere.
func TestTheStatusOfAFleetFitsTheTerminal(t *testing.T) {
	node := func(name, why string) fleetview.Node {
		return fleetview.Node{Node: name, Wave: 1, Database: records.Database{Phase: records.Idle,
			State: rollout.State{Have: 1, Failed: &rollout.Failure{Order: "x", Why: why}}}}
	}
	s := fleetview.Fleet{Controller: "web-1", Channels: []fleetview.Channel{{Channel: "catalog",
		Order:    &rollout.Order{ID: "x", Channel: "catalog", Version: 2},
		Progress: &rollout.Progress{Order: "x", Phase: rollout.Halted, Waves: [][]string{{"web-1", "web-10"}}, Reason: "2 nodes failed, and --max-failed is 0"},
		Nodes:    []fleetview.Node{node("web-1", "the disk is too small for that"), node("web-10", "an item costs -5")}}}}
	for width, want := range map[int]string{
		0: `catalog@2 halted: 2 nodes failed, and --max-failed is 0
  web-1   catalog@1  wave 1  failed: the disk is too small for that
  web-10  catalog@1  wave 1  failed: an item costs -5
`,
		50: `catalog@2 halted: 2 nodes failed, and --max-failed
  is 0
  web-1   catalog@1  wave 1  failed: the disk is
                             too small for that
  web-10  catalog@1  wave 1  failed: an item costs
                             -5
`,
	} {
		var b strings.Builder
		if err := printFleet(&b, s, width); err != nil || b.String() != want {
			t.Errorf("%d columns: %v\n%s", width, err, b.String())
		}
	}
}
