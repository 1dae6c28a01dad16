package fleetview

import (
	"testing"
	"time"

	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// TestWhoDoesNotAnswerAndIsMissedIsShown: whomever the order, or a pin, concerns.
func TestWhoDoesNotAnswerAndIsMissedIsShown(t *testing.T) {
	at := time.Date(2026, 11, 28, 2, 51, 3, 0, time.Local)
	web, db := map[string]string{"role": "web"}, map[string]string{"role": "db"}
	here := []string{"catalog"}
	all := &records.Everything{
		Orders: map[string]rollout.Order{"catalog": {ID: "x", Channel: "catalog", Version: 2, Plan: rollout.Plan{Select: web}}},
		Progress: map[string]rollout.Progress{"catalog": {Order: "x", Phase: rollout.Done, Open: 1,
			Waves: [][]string{{"answers", "killed", "stopped"}}}},
		Pins: map[string]map[string]rollout.Pin{"catalog": {"pinned": {Version: 1, Message: "audit"}, "mistyped": {Version: 1},
			"elsewhere": {Version: 1}, "unpinned": {From: []uint64{1}}}},
		Nodes: map[string]records.Node{
			"answers":   {Node: "answers", At: at, Clock: at, Databases: map[string]records.Database{"catalog": {Phase: records.Idle, State: rollout.State{Have: 2, Healthy: 2}}}},
			"elsewhere": {Node: "elsewhere", Databases: map[string]records.Database{"prices": {}}},
		},
		Left: map[string]records.Left{"killed": {At: at}, "stopped": {Ended: true, At: at}, "pinned": {At: at}, "late": {Ended: true, At: at},
			"unpinned": {At: at}, "db-1": {At: at}, "prices-1": {At: at}},
		Joined: map[string]records.Joined{"killed": {Labels: web, Channels: here}, "late": {Host: "b", Labels: web, Channels: here},
			"pinned": {Labels: db, Channels: here}, "db-1": {Labels: db, Channels: here}, "prices-1": {Labels: web, Channels: []string{"prices"}}},
	}
	fleet := Of(all, "catalog")
	got := map[string]string{}
	for _, n := range fleet.Channels[0].Nodes {
		got[n.Node] = n.Has("catalog") + " " + n.State("catalog", fleet.Channels[0].Order)
	}
	want := map[string]string{
		"answers":   "catalog@2 in order",
		"killed":    "? silent since 2026-11-28 02:51:03",
		"stopped":   "? ended at 2026-11-28 02:51:03",
		"late":      "? ended at 2026-11-28 02:51:03",
		"pinned":    "? silent since 2026-11-28 02:51:03; pinned to catalog@1 (audit)",
		"mistyped":  "? silent: no node of this name is known; pinned to catalog@1",
		"elsewhere": "- answers, and has no database of catalog; pinned to catalog@1",
	}
	for node, text := range want {
		if got[node] != text {
			t.Errorf("%s: %q, and not %q", node, got[node], text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("shown are %v", got)
	}
	// One that has ended is nobody's trouble once the rollout is done.
	o := fleet.Overview().Channels[0]
	bad := map[string]bool{}
	for _, n := range o.Nodes {
		bad[n.Node] = n.Bad
	}
	if o.Silent != 3 || !bad["killed"] || !bad["elsewhere"] || bad["stopped"] || bad["late"] {
		t.Errorf("%+v", o)
	}
	// A pin alone makes a channel.
	pinned := Of(&records.Everything{Pins: map[string]map[string]rollout.Pin{"catalog": {"a": {Version: 1}}, "prices": {"a": {}}}}, "")
	if len(pinned.Channels) != 1 || len(pinned.Channels[0].Nodes) != 1 {
		t.Errorf("%+v", pinned)
	}
}
