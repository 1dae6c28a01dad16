package sockserver

import (
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"hotswap/swapper"
)

// What a command came to, as the label "result" has it, beside the last word of
// a problem's type.
const (
	resultOK     = "ok"
	resultDryRun = "dry_run"
)

const labelDatabase = "database"

// metrics are a server's counters, and at each collection what its databases are
// at. Its methods may be called from any goroutine.
//
// A command whose path is no managed database has none in its label: what a
// client makes up must not become a series.
type metrics struct {
	api      *api
	registry *prometheus.Registry // of metrics alone, for GET /metrics

	pushes, pulls  *prometheus.CounterVec
	received, sent *prometheus.CounterVec
	pause          *prometheus.HistogramVec

	swaps, generation, connections, waiting *prometheus.Desc
}

func newMetrics(a *api) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	of := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{labelDatabase}, labels...), nil)
	}
	m := &metrics{
		api:      a,
		registry: prometheus.NewRegistry(),
		pushes: counter("hotswap_pushes_total",
			"Pushes that ended, by result (ok, dry_run, or the problem) and by the method of replacement, which is empty if nothing was replaced.",
			labelDatabase, "result", "method"),
		pulls:    counter("hotswap_pulls_total", "Pulls that ended, by result (ok, or the problem).", labelDatabase, "result"),
		received: counter("hotswap_received_bytes_total", "Bytes of databases that pushes received.", labelDatabase),
		sent:     counter("hotswap_sent_bytes_total", "Bytes of databases that pulls sent.", labelDatabase),
		pause: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "hotswap_pause_seconds",
			Help:    "Time from gate closed to gate open of the pushes that swapped, as a waiting call felt it.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		}, []string{labelDatabase}),
		swaps:       of("hotswap_swaps_total", "Swaps that succeeded since the program first opened the database, by whatever way."),
		generation:  of("hotswap_generation", "The database's generation: 1 at first, and one more with each swap."),
		connections: of("hotswap_connections", "Connections of the program's pools: inside a call (busy), between calls with rows or a transaction open (held), or idle.", "state"),
		waiting:     of("hotswap_waiting_calls", "Calls that wait at the gate."),
	}
	m.registry.MustRegister(m)
	return m
}

// vectors are the metrics that are counted as things happen.
func (m *metrics) vectors() []prometheus.Collector {
	return []prometheus.Collector{m.pushes, m.pulls, m.received, m.sent, m.pause}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, v := range m.vectors() {
		v.Describe(to)
	}
	for _, d := range []*prometheus.Desc{m.swaps, m.generation, m.connections, m.waiting} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	for _, v := range m.vectors() {
		v.Collect(to)
	}
	list, err := m.api.listManaged()
	if err != nil {
		to <- prometheus.NewInvalidMetric(m.generation, err)
		return
	}
	for _, one := range list {
		if one.db == nil {
			continue // a file that the driver has not got open
		}
		stats := one.db.Stats()
		to <- prometheus.MustNewConstMetric(m.swaps, prometheus.CounterValue, float64(stats.Swaps), one.path)
		for _, gauge := range []struct {
			desc   *prometheus.Desc
			value  float64
			labels []string
		}{
			{m.generation, float64(stats.Generation), []string{one.path}},
			{m.waiting, float64(stats.Waiting), []string{one.path}},
			{m.connections, float64(stats.Busy), []string{one.path, "busy"}},
			{m.connections, float64(stats.Held), []string{one.path, "held"}},
			// The counters are not of one moment.
			{m.connections, float64(max(0, stats.Connections-stats.Busy-stats.Held)), []string{one.path, "idle"}},
		} {
			to <- prometheus.MustNewConstMetric(gauge.desc, prometheus.GaugeValue, gauge.value, gauge.labels...)
		}
	}
}

// count counts a command that has ended.
func (m *metrics) count(cmd *command, report *swapper.Report, result string) {
	database := ""
	if cmd.found {
		database = cmd.path
	}
	if report == nil {
		report = &swapper.Report{}
	}
	switch cmd.verb {
	case verbPush:
		method := ""
		if report.Swapped {
			method = string(report.Method)
		}
		m.pushes.WithLabelValues(database, result, method).Inc()
		if report.Bytes > 0 {
			m.received.WithLabelValues(database).Add(float64(report.Bytes))
		}
		if report.Swapped {
			m.pause.WithLabelValues(database).Observe(report.Pause.Seconds())
		}
	case verbPull:
		m.pulls.WithLabelValues(database, result).Inc()
		if report.Bytes > 0 {
			m.sent.WithLabelValues(database).Add(float64(report.Bytes))
		}
	}
}

// resultOf is the last word of a problem's type.
func resultOf(p *Problem) string {
	typ := string(p.Type)
	return typ[strings.LastIndexByte(typ, ':')+1:]
}

// serveMetrics is GET /metrics: the metrics as text, for Prometheus.
func (a *api) serveMetrics(w http.ResponseWriter, r *http.Request, _ *command) error {
	if _, err := parseQuery(r, paramID); err != nil {
		return err
	}
	promhttp.HandlerFor(a.metrics.registry, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP(w, r)
	return nil
}

// Collector returns the server's metrics, for a registry of the program's own;
// GET /metrics has the same.
func (s *Server) Collector() prometheus.Collector { return s.api.metrics }
