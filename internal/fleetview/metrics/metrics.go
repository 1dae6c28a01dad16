// Package metrics has a whole fleet's figures for Prometheus, as the engine knows them; those
// that one node has of itself are in hotswap/fleet/metrics.
package metrics

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"hotswap/internal/fleetview"
	"hotswap/internal/rollout"
)

// rest is the least time between two reads of the engine: however many ask for the figures,
// it is read no more often.
const rest = 5 * time.Second

// patience is how long a read may take.
const patience = 8 * time.Second

// Handler serves the figures. read reads the fleet from the engine, and log is told when
// that fails, or no longer does.
func Handler(read func(context.Context) (fleetview.Fleet, error), log func(error)) http.Handler {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&collector{read: read, log: log})
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

type collector struct {
	read func(context.Context) (fleetview.Fleet, error)
	log  func(error)

	mu    sync.Mutex // guards what follows
	at    time.Time  // of the last read
	fleet fleetview.Fleet
	err   error
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("hotswap_fleet_"+name, help, labels, nil)
}

var (
	up         = desc("engine_up", "Whether the engine could be read.")
	controlled = desc("has_controller", "Whether a node is the controller: without one no rollout moves.")
	nodes      = desc("nodes", "Nodes that answer, by the version that is live; 0 is none that was published.", "channel", "version")
	ready      = desc("nodes_prepared", "Nodes that have the version of the latest order, or are prepared to swap it in.", "channel")
	behind     = desc("nodes_behind", "Nodes that answer and are meant by the latest order, and do not have its version.", "channel")
	failed     = desc("nodes_failed", "Nodes that can't follow the latest order, or don't obey it.", "channel")
	silent     = desc("nodes_silent", "Nodes of the latest order's waves that have stopped answering, and have not said that they end.", "channel")
	pinned     = desc("nodes_pinned", "Nodes that are held at a version.", "channel")
	diverged   = desc("nodes_diverged", "Nodes whose database is not exactly a published version.", "channel")
	unnamed    = desc("nodes_name_taken", "Nodes under whose name another program has joined, too.", "channel")
	clocks     = desc("nodes_clock_off", "Nodes whose clock is off by more than ten seconds.", "channel")
	ahead      = desc("engine_clock_ahead_seconds", "How far the engine's clock is ahead of this machine's; 0 if that is less than ten seconds.")
	ordered    = desc("rollout_version", "The version of the latest order.", "channel")
	phase      = desc("rollout_phase", "1 for the phase of the latest order, 0 for the others.", "channel", "phase")
	since      = desc("rollout_phase_timestamp_seconds", "When that phase began.", "channel")
	wave       = desc("rollout_wave", "How many waves are open.", "channel")
	waves      = desc("rollout_waves", "How many waves there are.", "channel")

	phases = []rollout.Phase{rollout.Preparing, rollout.Swapping, rollout.Soaking, rollout.Awaiting, rollout.Halted, rollout.Done}
)

func (c *collector) Describe(all chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{up, controlled, nodes, ready, behind, failed, silent, pinned, diverged, unnamed, clocks, ahead,
		ordered, phase, since, wave, waves} {
		all <- d
	}
}

// now is the fleet as it was read within the last seconds.
func (c *collector) now() (fleetview.Fleet, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.at) < rest {
		return c.fleet, c.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	before := c.err
	c.fleet, c.err = c.read(ctx)
	c.at = time.Now()
	if (before == nil) != (c.err == nil) {
		c.log(c.err)
	}
	return c.fleet, c.err
}

func (c *collector) Collect(all chan<- prometheus.Metric) {
	fleet, err := c.now()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		all <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(up, truth(err == nil))
	if err != nil {
		return // what was so before may not be so any more
	}
	gauge(controlled, truth(fleet.Controller != ""))
	gauge(ahead, fleet.EngineAhead.Seconds())
	for _, channel := range fleet.Channels {
		byVersion, sums := count(channel)
		for version, n := range byVersion {
			gauge(nodes, float64(n), channel.Channel, strconv.FormatUint(version, 10))
		}
		for d, n := range sums {
			gauge(d, float64(n), channel.Channel)
		}
		if channel.Order == nil {
			continue
		}
		gauge(ordered, float64(channel.Order.Version), channel.Channel)
		p := rollout.Progress{Phase: rollout.Preparing} // it has not been looked at yet
		if channel.Progress != nil {
			p = *channel.Progress
		}
		for _, each := range phases {
			gauge(phase, truth(each == p.Phase), channel.Channel, string(each))
		}
		if !p.Since.IsZero() {
			gauge(since, float64(p.Since.UnixMilli())/1000, channel.Channel)
		}
		gauge(wave, float64(p.Open), channel.Channel)
		gauge(waves, float64(len(p.Waves)), channel.Channel)
	}
}

// count counts the nodes of a channel.
func count(channel fleetview.Channel) (byVersion map[uint64]int, sums map[*prometheus.Desc]int) {
	byVersion = map[uint64]int{}
	sums = map[*prometheus.Desc]int{ready: 0, behind: 0, failed: 0, silent: 0, pinned: 0, diverged: 0, unnamed: 0, clocks: 0}
	add := func(d *prometheus.Desc, is bool) {
		if is {
			sums[d]++
		}
	}
	o := channel.Order
	for _, n := range channel.Nodes {
		if !n.Answers() {
			add(silent, n.Silent && n.Wave != 0)
			continue
		}
		byVersion[n.Have]++
		add(pinned, n.Pinned != 0)
		add(diverged, n.Content != "")
		add(unnamed, n.Twin != "")
		add(clocks, n.ClockOff != 0)
		if o == nil {
			continue
		}
		add(ready, n.Have == o.Version || n.Prepared == o.Version)
		add(behind, n.Have != o.Version && n.Pinned == 0 && o.Selects(n.Labels))
		add(failed, channel.HasFailed(n))
	}
	return byVersion, sums
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
