package metrics

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"hotswap/internal/fleetview"
	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// fleet is one in the midst of a rollout, with a node of each kind.
func fleet() fleetview.Fleet {
	at := time.Unix(1_700_000_000, 0)
	node := func(name string, state rollout.State, content string) records.Node {
		return records.Node{Node: name, Clock: at, At: at, Databases: map[string]records.Database{"catalog": {State: state, Content: content}}}
	}
	twin := node("e", rollout.State{Have: 1, Pinned: 1}, "")
	twin.Twin, twin.Clock = "process 7 on b", at.Add(time.Hour)
	all := &records.Everything{
		Orders: map[string]rollout.Order{"catalog": {ID: "x", Channel: "catalog", Version: 2}},
		Progress: map[string]rollout.Progress{"catalog": {Order: "x", Phase: rollout.Soaking, Since: at, Open: 1,
			Waves: [][]string{{"a"}, {"b", "c", "d"}}}},
		Nodes: map[string]records.Node{
			"a": node("a", rollout.State{Have: 2, Healthy: 2}, ""),
			"b": node("b", rollout.State{Have: 1, Prepared: 2}, ""),
			"c": node("c", rollout.State{Have: 1, Failed: &rollout.Failure{Order: "x", Version: 2, Why: "no room"}}, "written to since catalog@1"),
			"e": twin,
		},
		Lease: &records.Lease{Node: "a"},
	}
	return fleetview.Of(all, "")
}

const want = `
# HELP hotswap_fleet_engine_clock_ahead_seconds How far the engine's clock is ahead of this machine's; 0 if that is less than ten seconds.
# TYPE hotswap_fleet_engine_clock_ahead_seconds gauge
hotswap_fleet_engine_clock_ahead_seconds 0
# HELP hotswap_fleet_engine_up Whether the engine could be read.
# TYPE hotswap_fleet_engine_up gauge
hotswap_fleet_engine_up 1
# HELP hotswap_fleet_has_controller Whether a node is the controller: without one no rollout moves.
# TYPE hotswap_fleet_has_controller gauge
hotswap_fleet_has_controller 1
# HELP hotswap_fleet_nodes Nodes that answer, by the version that is live; 0 is none that was published.
# TYPE hotswap_fleet_nodes gauge
hotswap_fleet_nodes{channel="catalog",version="1"} 3
hotswap_fleet_nodes{channel="catalog",version="2"} 1
# HELP hotswap_fleet_nodes_behind Nodes that answer and are meant by the latest order, and do not have its version.
# TYPE hotswap_fleet_nodes_behind gauge
hotswap_fleet_nodes_behind{channel="catalog"} 2
# HELP hotswap_fleet_nodes_clock_off Nodes whose clock is off by more than ten seconds.
# TYPE hotswap_fleet_nodes_clock_off gauge
hotswap_fleet_nodes_clock_off{channel="catalog"} 1
# HELP hotswap_fleet_nodes_diverged Nodes whose database is not exactly a published version.
# TYPE hotswap_fleet_nodes_diverged gauge
hotswap_fleet_nodes_diverged{channel="catalog"} 1
# HELP hotswap_fleet_nodes_failed Nodes that can't follow the latest order, or don't obey it.
# TYPE hotswap_fleet_nodes_failed gauge
hotswap_fleet_nodes_failed{channel="catalog"} 1
# HELP hotswap_fleet_nodes_name_taken Nodes under whose name another program has joined, too.
# TYPE hotswap_fleet_nodes_name_taken gauge
hotswap_fleet_nodes_name_taken{channel="catalog"} 1
# HELP hotswap_fleet_nodes_pinned Nodes that are held at a version.
# TYPE hotswap_fleet_nodes_pinned gauge
hotswap_fleet_nodes_pinned{channel="catalog"} 1
# HELP hotswap_fleet_nodes_prepared Nodes that have the version of the latest order, or are prepared to swap it in.
# TYPE hotswap_fleet_nodes_prepared gauge
hotswap_fleet_nodes_prepared{channel="catalog"} 2
# HELP hotswap_fleet_nodes_silent Nodes of the latest order's waves that have stopped answering, and have not said that they end.
# TYPE hotswap_fleet_nodes_silent gauge
hotswap_fleet_nodes_silent{channel="catalog"} 1
# HELP hotswap_fleet_rollout_phase 1 for the phase of the latest order, 0 for the others.
# TYPE hotswap_fleet_rollout_phase gauge
hotswap_fleet_rollout_phase{channel="catalog",phase="awaiting-approval"} 0
hotswap_fleet_rollout_phase{channel="catalog",phase="done"} 0
hotswap_fleet_rollout_phase{channel="catalog",phase="halted"} 0
hotswap_fleet_rollout_phase{channel="catalog",phase="preparing"} 0
hotswap_fleet_rollout_phase{channel="catalog",phase="soaking"} 1
hotswap_fleet_rollout_phase{channel="catalog",phase="swapping"} 0
# HELP hotswap_fleet_rollout_phase_timestamp_seconds When that phase began.
# TYPE hotswap_fleet_rollout_phase_timestamp_seconds gauge
hotswap_fleet_rollout_phase_timestamp_seconds{channel="catalog"} 1.7e+09
# HELP hotswap_fleet_rollout_version The version of the latest order.
# TYPE hotswap_fleet_rollout_version gauge
hotswap_fleet_rollout_version{channel="catalog"} 2
# HELP hotswap_fleet_rollout_wave How many waves are open.
# TYPE hotswap_fleet_rollout_wave gauge
hotswap_fleet_rollout_wave{channel="catalog"} 1
# HELP hotswap_fleet_rollout_waves How many waves there are.
# TYPE hotswap_fleet_rollout_waves gauge
hotswap_fleet_rollout_waves{channel="catalog"} 2
`

func TestTheFiguresOfAFleet(t *testing.T) {
	c := &collector{read: func(context.Context) (fleetview.Fleet, error) { return fleet(), nil }, log: func(error) {}}
	if err := prometheus.NewPedanticRegistry().Register(c); err != nil {
		t.Fatal(err)
	}
	if err := testutil.CollectAndCompare(c, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.CollectAndLint(c); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}

// However many scrape, the engine is read once; and when it can't be read, no figure of before
// is told.
func TestTheEngineIsReadRarely(t *testing.T) {
	reads, down, said := 0, false, []error(nil)
	c := &collector{log: func(err error) { said = append(said, err) }, read: func(context.Context) (fleetview.Fleet, error) {
		reads++
		if down {
			return fleetview.Fleet{}, errors.New("no engine")
		}
		return fleet(), nil
	}}
	for range 10 {
		testutil.CollectAndCount(c)
	}
	if reads != 1 {
		t.Errorf("read %d times", reads)
	}
	down = true
	for range 2 {
		c.at = time.Time{}
		if n := testutil.CollectAndCount(c); n != 1 {
			t.Errorf("%d figures of an engine that is away", n)
		}
	}
	if len(said) != 1 || said[0] == nil {
		t.Errorf("it says %v", said)
	}
}

// TestTheGuideNamesFiguresThatThereAre: what the guide watches is there, and all of it is named.
func TestTheGuideNamesFiguresThatThereAre(t *testing.T) {
	h := Handler(func(context.Context) (fleetview.Fleet, error) { return fleet(), nil }, func(error) {})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	served, _ := io.ReadAll(w.Result().Body)
	node, err := os.ReadFile("../../../fleet/metrics/metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\w+)`).FindAllSubmatch(served, -1) {
		there[string(m[1])] = true
	}
	ofNodes := map[string]bool{}
	for _, m := range regexp.MustCompile(`desc\("(\w+)"`).FindAllSubmatch(node, -1) {
		ofNodes["hotswap_fleet_"+string(m[1])] = true
	}
	guide, err := os.ReadFile("../../../docs/servers.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, name := range regexp.MustCompile(`hotswap_fleet_\w+`).FindAllString(string(guide), -1) {
		named[name] = true
		if !there[name] && !ofNodes[name] {
			t.Errorf("docs/servers.md names %s, which nothing serves", name)
		}
	}
	for name := range there {
		if !named[name] {
			t.Errorf("docs/servers.md does not name %s", name)
		}
		if ofNodes[name] {
			t.Errorf("%s is also a node's own", name)
		}
	}
}
