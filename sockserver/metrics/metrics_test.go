package metrics_test

import (
	"bytes"
	"context"
	"database/sql"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"hotswap/driver"
	"hotswap/sockserver"
	"hotswap/sockserver/metrics"
	"hotswap/swapper"
)

// shortDir is a directory whose path leaves room for a socket's name.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// openDatabase makes a database with a table in it.
func openDatabase(t testing.TB, driverName, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driverName, "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if _, err := db.Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)"); err != nil {
		t.Fatal(err)
	}
	return db
}

func startServer(t testing.TB, cfg sockserver.Config) (*sockserver.Server, *sockserver.Client) {
	t.Helper()
	s, err := sockserver.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	c := sockserver.NewClient(sockserver.ClientConfig{SocketPath: s.SocketPath(), StderrSocketPath: s.StderrSocketPath()})
	t.Cleanup(c.Close)
	return s, c
}

func TestCommandsAreCountedByTheirResult(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, driver.Name, dir+"/db")
	openDatabase(t, "sqlite3", dir+"/new").Close()
	content, err := os.ReadFile(dir + "/new")
	if err != nil {
		t.Fatal(err)
	}
	m := metrics.New()
	s, c := startServer(t, sockserver.Config{SocketPath: dir + "/s.sock", DatabasePaths: []string{dir + "/db"}, Metrics: m})
	for _, params := range []sockserver.PushParams{{}, {DryRun: true}, {DryRun: true}} {
		if _, err := c.Push(t.Context(), sockserver.TheDatabase, bytes.NewReader(content), params); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Push(t.Context(), sockserver.TheDatabase, strings.NewReader("no database"), sockserver.PushParams{}); err == nil {
		t.Fatal("that was taken")
	}
	if _, err := c.Push(t.Context(), "/made/up", bytes.NewReader(content), sockserver.PushParams{}); err == nil {
		t.Fatal("that was taken")
	}
	report, err := c.Snapshot(t.Context(), sockserver.TheDatabase, io.Discard, sockserver.SnapshotParams{})
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
	status, text := get(t, s, "/metrics")
	if status != http.StatusOK {
		t.Fatalf("got %d: %s", status, text)
	}
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

func TestServerWithoutMetricsSaysHowToHaveThem(t *testing.T) {
	dir := shortDir(t)
	s, _ := startServer(t, sockserver.Config{SocketPath: dir + "/s.sock"})
	if status, text := get(t, s, "/metrics"); status != http.StatusNotFound || !strings.Contains(text, "Config.Metrics") {
		t.Errorf("got %d: %s", status, text)
	}
}

func TestCountersGoOnInTheNextServer(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, driver.Name, dir+"/db")
	m := metrics.New()
	if n := testutil.CollectAndCount(m); n != 0 {
		t.Errorf("%d series before there is a server", n)
	}
	for range 2 {
		s, c := startServer(t, sockserver.Config{SocketPath: dir + "/s.sock", DatabasePaths: []string{dir + "/db"}, Metrics: m})
		if _, err := c.Snapshot(t.Context(), sockserver.TheDatabase, io.Discard, sockserver.SnapshotParams{}); err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(m)
	if got := sumOf(t, registry, "hotswap_pulls_total"); got != 2 {
		t.Errorf("%v pulls, want 2", got)
	}
}

func get(t testing.TB, s *sockserver.Server, path string) (status int, text string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.SocketPath())
	}}}
	defer client.CloseIdleConnections()
	res, err := client.Get("http://hotswap" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
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

func TestThePeersOfAPushAreCounted(t *testing.T) {
	m := metrics.New()
	m.Count(sockserver.Outcome{Verb: "push", Database: "db", Result: "ok", Report: swapper.Report{
		Swapped: true, Method: swapper.MethodRename, Peers: []driver.Peer{{PID: 1}, {PID: 2}, {PID: 3, Problem: "ended meanwhile"}},
	}})
	want := `# HELP hotswap_push_peers_total Peers (other processes with the file open through the driver) that took part in pushes that swapped, by result: ok, or problem, as the push's report names it.
# TYPE hotswap_push_peers_total counter
hotswap_push_peers_total{database="db",result="ok"} 2
hotswap_push_peers_total{database="db",result="problem"} 1
`
	if err := testutil.CollectAndCompare(m, strings.NewReader(want), "hotswap_push_peers_total"); err != nil {
		t.Error(err)
	}
}
