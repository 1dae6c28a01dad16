package metrics_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"hotswap/fleet"
	"hotswap/fleet/metrics"
)

func TestANodeHasFiguresWithoutAnEngine(t *testing.T) {
	node, err := fleet.Join(t.Context(), fleet.Config{Engine: "nats://127.0.0.1:1", Node: "web-1",
		Databases: map[string]string{"catalog": filepath.Join(t.TempDir(), "catalog.sqlite3")}})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close()
	c := metrics.New(node)
	if err := prometheus.NewPedanticRegistry().Register(c); err != nil {
		t.Fatal(err)
	}
	if err := testutil.CollectAndCompare(c, strings.NewReader(`
# HELP hotswap_fleet_connected Whether the engine is connected.
# TYPE hotswap_fleet_connected gauge
hotswap_fleet_connected{node="web-1"} 0
# HELP hotswap_fleet_version The version that is live, 0 if it is not a published one.
# TYPE hotswap_fleet_version gauge
hotswap_fleet_version{channel="catalog",node="web-1"} 0
`), "hotswap_fleet_connected", "hotswap_fleet_version"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.CollectAndLint(c); err != nil || len(problems) > 0 {
		t.Error(problems, err)
	}
}
