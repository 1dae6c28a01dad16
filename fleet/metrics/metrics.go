// Package metrics has a node's figures for Prometheus. It is a package of its own, so that a
// program without them links nothing of it.
//
//	prometheus.MustRegister(metrics.New(node))
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hotswap/fleet"
)

// New returns the collector of a node's figures.
func New(node *fleet.Node) prometheus.Collector { return collector{node} }

type collector struct{ node *fleet.Node }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("hotswap_fleet_"+name, help, labels, nil)
}

var (
	connected  = desc("connected", "Whether the engine is connected.", "node")
	controller = desc("controller", "Whether this node opens the waves.", "node")
	twin       = desc("name_taken", "Whether another program has joined under this node's name.", "node")
	version    = desc("version", "The version that is live, 0 if it is not a published one.", "node", "channel")
	prepared   = desc("prepared_version", "The version that is ready to be swapped in, 0 if there is none.", "node", "channel")
	pinned     = desc("pinned_version", "The version at which the node is held, 0 without a pin.", "node", "channel")
	failed     = desc("failed", "Whether the node can't follow the latest order.", "node", "channel")
	swaps      = desc("swaps_total", "Versions that were swapped in, or gone back to.", "node", "channel")
	failures   = desc("failures_total", "Attempts to look, prepare, swap, or be in order that have failed.", "node", "channel")
	fetched    = desc("fetched_bytes_total", "Bytes that have travelled from the engine.", "node", "channel")
	pause      = desc("last_pause_seconds", "How long calls waited in the last swap.", "node", "channel")
	swapped    = desc("last_swap_timestamp_seconds", "When the last swap was, 0 if there was none.", "node", "channel")
)

func (c collector) Describe(all chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{connected, controller, twin, version, prepared, pinned, failed, swaps, failures, fetched, pause, swapped} {
		all <- d
	}
}

func (c collector) Collect(all chan<- prometheus.Metric) {
	s := c.node.Status()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		all <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{s.Node}, labels...)...)
	}
	counter := func(d *prometheus.Desc, value float64, channel string) {
		all <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, s.Node, channel)
	}
	gauge(connected, truth(s.Connected))
	gauge(controller, truth(s.Controller))
	gauge(twin, truth(s.Twin != ""))
	for channel, db := range s.Databases {
		gauge(version, float64(db.Version), channel)
		gauge(prepared, float64(db.Prepared), channel)
		gauge(pinned, float64(db.Pinned), channel)
		gauge(failed, truth(db.Failed != ""), channel)
		gauge(pause, db.Pause.Seconds(), channel)
		gauge(swapped, seconds(db.Swapped), channel)
		counter(swaps, float64(db.Swaps), channel)
		counter(failures, float64(db.Failures), channel)
		counter(fetched, float64(db.TotalBytes), channel)
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func seconds(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixNano()) / 1e9
}
