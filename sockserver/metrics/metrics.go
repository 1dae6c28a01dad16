// Package metrics counts what a server of package sockserver does, for
// Prometheus. It is a package of its own so that only programs that want
// metrics link the Prometheus client:
//
//	server, err := sockserver.Start(sockserver.Config{Metrics: metrics.New()})
//
// The server then answers GET /metrics on its socket. A program that has a
// registry of its own registers the same Metrics there.
//
// The metrics, all with the label database (the resolved path):
//
//	hotswap_pushes_total          pushes that ended, by result and method
//	hotswap_push_peers_total      peers that took part in pushes that swapped, by result
//	hotswap_pulls_total           pulls that ended, by result
//	hotswap_received_bytes_total  bytes received by pushes
//	hotswap_sent_bytes_total      bytes sent by pulls
//	hotswap_pause_seconds         a histogram of the pauses of pushes that swapped
//	hotswap_swaps_total           swaps since the program first opened the database
//	hotswap_generation            1 at first, and one more with each swap
//	hotswap_connections           connections, by state: busy, held or idle
//	hotswap_waiting_calls         calls waiting at the gate
package metrics

import (
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"hotswap/driver"
	"hotswap/sockserver"
)

const labelDatabase = "database"

// Metrics are the counters of one server, and at each collection the state of
// its databases. It is a prometheus.Collector. Its methods may be called from
// any goroutine.
//
// A command for a path that is not a managed database is counted with an empty
// database label: what a client makes up must not become a series.
type Metrics struct {
	handler http.Handler
	// databases is set by Bind; nil before.
	databases atomic.Pointer[func() (map[string]driver.Stats, error)]

	pushes, pulls  *prometheus.CounterVec
	peers          *prometheus.CounterVec
	received, sent *prometheus.CounterVec
	pause          *prometheus.HistogramVec

	swaps, generation, connections, waiting *prometheus.Desc
}

var (
	_ prometheus.Collector = (*Metrics)(nil)
	_ sockserver.Metrics   = (*Metrics)(nil)
)

// New returns Metrics for one server's Config. A server that is started again
// may be given the same Metrics: the counters go on.
func New() *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{labelDatabase}, labels...), nil)
	}
	m := &Metrics{
		pushes: counter("hotswap_pushes_total",
			"Pushes that ended, by result (ok, dry_run, or the type of problem) and by method of replacement, which is empty if nothing was replaced.",
			labelDatabase, "result", "method"),
		peers: counter("hotswap_push_peers_total",
			"Peers (other processes with the file open through the driver) that took part in pushes that swapped, by result: ok, or problem, as the push's report names it.",
			labelDatabase, "result"),
		pulls:    counter("hotswap_pulls_total", "Pulls that ended, by result (ok, or the type of problem).", labelDatabase, "result"),
		received: counter("hotswap_received_bytes_total", "Bytes of databases received by pushes.", labelDatabase),
		sent:     counter("hotswap_sent_bytes_total", "Bytes of databases sent by pulls.", labelDatabase),
		pause: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "hotswap_pause_seconds",
			Help:    "Time from gate closed to gate open of pushes that swapped, as a waiting call felt it.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
		}, []string{labelDatabase}),
		swaps:       desc("hotswap_swaps_total", "Swaps that succeeded since the program first opened the database, from the socket or from code."),
		generation:  desc("hotswap_generation", "The database's generation: 1 at first, and one more with each swap."),
		connections: desc("hotswap_connections", "Connections of the program's pools: inside a call (busy), between calls with rows or a transaction open (held), or idle.", "state"),
		waiting:     desc("hotswap_waiting_calls", "Calls waiting at the gate."),
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true})
	return m
}

// ServeHTTP answers with the metrics in Prometheus's text format.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.handler.ServeHTTP(w, r) }

// Bind implements [sockserver.Metrics].
func (m *Metrics) Bind(databases func() (map[string]driver.Stats, error)) {
	m.databases.Store(&databases)
}

// Count implements [sockserver.Metrics].
func (m *Metrics) Count(c sockserver.Outcome) {
	switch c.Verb {
	case "push":
		method := ""
		if c.Report.Swapped {
			method = string(c.Report.Method)
			m.pause.WithLabelValues(c.Database).Observe(c.Report.Pause.Seconds())
			for _, peer := range c.Report.Peers {
				result := "ok"
				if peer.Problem != "" {
					result = "problem"
				}
				m.peers.WithLabelValues(c.Database, result).Inc()
			}
		}
		m.pushes.WithLabelValues(c.Database, c.Result, method).Inc()
		if c.Report.Bytes > 0 {
			m.received.WithLabelValues(c.Database).Add(float64(c.Report.Bytes))
		}
	case "pull":
		m.pulls.WithLabelValues(c.Database, c.Result).Inc()
		if c.Report.Bytes > 0 {
			m.sent.WithLabelValues(c.Database).Add(float64(c.Report.Bytes))
		}
	}
}

// vectors are the metrics that are counted as things happen.
func (m *Metrics) vectors() []prometheus.Collector {
	return []prometheus.Collector{m.pushes, m.peers, m.pulls, m.received, m.sent, m.pause}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, v := range m.vectors() {
		v.Describe(to)
	}
	for _, d := range []*prometheus.Desc{m.swaps, m.generation, m.connections, m.waiting} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	for _, v := range m.vectors() {
		v.Collect(to)
	}
	databases := m.databases.Load()
	if databases == nil {
		return // no server yet
	}
	all, err := (*databases)()
	if err != nil {
		to <- prometheus.NewInvalidMetric(m.generation, err)
		return
	}
	for path, stats := range all {
		gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{path}, labels...)...)
		}
		to <- prometheus.MustNewConstMetric(m.swaps, prometheus.CounterValue, float64(stats.Swaps), path)
		gauge(m.generation, float64(stats.Generation))
		gauge(m.waiting, float64(stats.Waiting))
		gauge(m.connections, float64(stats.Busy), "busy")
		gauge(m.connections, float64(stats.Held), "held")
		// The counters are not of one moment.
		gauge(m.connections, float64(max(0, stats.Connections-stats.Busy-stats.Held)), "idle")
	}
}
