package sockserver

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestCommandsAreCountedByTheirResult(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 1)
	makeDatabase(t, dir+"/new", 10)
	content, err := os.ReadFile(dir + "/new")
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, dir, Config{DatabasePaths: []string{dir + "/db"}}, nil)
	c := newTestClient(t, s)
	for _, params := range []PushParams{{}, {DryRun: true}, {DryRun: true}} {
		if _, err := c.Push(t.Context(), TheDatabase, bytes.NewReader(content), params); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Push(t.Context(), TheDatabase, strings.NewReader("no database"), PushParams{}); err == nil {
		t.Fatal("that was taken")
	}
	if _, err := c.Push(t.Context(), "/made/up", bytes.NewReader(content), PushParams{}); err == nil {
		t.Fatal("that was taken")
	}
	report, err := c.Snapshot(t.Context(), TheDatabase, io.Discard, SnapshotParams{})
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(s.Collector())
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	text := metricsOf(t, s)
	db := `database="` + dir + `/db"`
	for _, line := range []string{
		`hotswap_pushes_total{` + db + `,method="rename",result="ok"} 1`,
		`hotswap_pushes_total{` + db + `,method="",result="dry_run"} 2`,
		`hotswap_pushes_total{` + db + `,method="",result="bad-database"} 1`,
		`hotswap_pushes_total{database="",method="",result="not-managed"} 1`,
		`hotswap_pulls_total{` + db + `,result="ok"} 1`,
		`hotswap_pause_seconds_count{` + db + `} 1`,
		`hotswap_swaps_total{` + db + `} 1`,
		`hotswap_generation{` + db + `} 2`,
		`hotswap_waiting_calls{` + db + `} 0`,
		`hotswap_connections{` + db + `,state="idle"} `,
	} {
		if !strings.Contains(text, line) {
			t.Errorf("no %s", line)
		}
	}
	for name, want := range map[string]float64{
		"hotswap_received_bytes_total": 3 * float64(len(content)),
		"hotswap_sent_bytes_total":     float64(report.Bytes),
	} {
		if got := sumOf(t, registry, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if strings.Contains(text, "/made/up") {
		t.Error("a path that a client made up is a series")
	}
	if t.Failed() {
		t.Log(text)
	}
}

func metricsOf(t testing.TB, s *Server) string {
	t.Helper()
	client := httpClient(s.SocketPath(), dialSocket)
	defer client.CloseIdleConnections()
	res, err := client.Get(clientBase + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
		t.Fatalf("got %s, %v", res.Status, err)
	}
	return string(text)
}

func sumOf(t testing.TB, from prometheus.Gatherer, name string) (sum float64) {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
