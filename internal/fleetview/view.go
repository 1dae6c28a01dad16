// Package fleetview makes of what a fleet's nodes and operators have told the engine what
// people want to know of it: `hotswap fleet status` prints it, the page shows it, and
// Prometheus gets its figures.
package fleetview

import (
	"maps"
	"slices"
	"strings"
	"time"

	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// Fleet is all of it: what `hotswap fleet status --json` prints.
type Fleet struct {
	// Controller is the node that opens the waves.
	Controller string `json:"controller,omitempty"`
	// EngineAhead is how far the engine's clock is ahead of this machine's, if that is much.
	EngineAhead time.Duration `json:"engine_clock_ahead_ns,omitempty"`
	// Idle is, without one, whoever has its lease and does not renew it.
	Idle     *Idle     `json:"lease_not_renewed,omitempty"`
	Channels []Channel `json:"channels"`
}

// Idle is a node that has the lease of the controller, and has not renewed it since, by the
// engine's clock. Node is "" if the lease is damaged.
type Idle struct {
	Node  string    `json:"node,omitempty"`
	Since time.Time `json:"since"`
}

// Channel is a channel and its nodes.
type Channel struct {
	Channel  string            `json:"channel"`
	Order    *rollout.Order    `json:"order,omitempty"`
	Progress *rollout.Progress `json:"progress,omitempty"`
	Nodes    []Node            `json:"nodes"`
}

// Node is a node and its database of the channel.
type Node struct {
	Node string `json:"node"`
	// Wave is the node's, from 1; 0 if it is in none.
	Wave int `json:"wave,omitempty"`
	Absence
	records.Database
	// PinMessage is what whoever pinned the node has said to it.
	PinMessage string `json:"pin_message,omitempty"`

	Host   string            `json:"host,omitempty"`
	PID    int               `json:"pid,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Twin   string            `json:"twin,omitempty"`
	// ClockOff is how far the node's clock is from the engine's and this machine's, if that is much.
	ClockOff time.Duration `json:"clock_off_ns,omitempty"`
}

// clockTolerance is how far a clock may be off before that is said.
const clockTolerance = 10 * time.Second

// clockOff is how far a node's clock is off, if that is much. One that agrees with the clock of
// this machine is not: the engine's is.
func clockOff(n records.Node, engineAhead time.Duration) time.Duration {
	off := n.Clock.Sub(n.At)
	if off.Abs() <= clockTolerance || (off+engineAhead).Abs() <= clockTolerance {
		return 0
	}
	return off + engineAhead
}

// Of makes a Fleet; only one of its channels, if only names one.
func Of(all *records.Everything, only string) Fleet {
	s := Fleet{Channels: []Channel{}}
	if all.Ahead.Abs() > clockTolerance {
		s.EngineAhead = all.Ahead
	}
	switch {
	case all.Lease == nil:
	case all.LeaseAge > 2*records.LeaseTTL || all.Lease.Node == "":
		s.Idle = &Idle{all.Lease.Node, all.LeaseAt}
	default:
		s.Controller = all.Lease.Node
	}
	names := map[string]bool{}
	for name := range all.Orders {
		names[name] = true
	}
	for name, pins := range all.Pins {
		for _, pin := range pins {
			if pin.Version != 0 {
				names[name] = true
			}
		}
	}
	for _, n := range all.Nodes {
		for name := range n.Databases {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if only == "" || only == name {
			s.Channels = append(s.Channels, channelOf(all, name))
		}
	}
	if only != "" && len(s.Channels) == 0 {
		s.Channels = append(s.Channels, Channel{Channel: only, Nodes: []Node{}})
	}
	return s
}

func channelOf(all *records.Everything, channel string) Channel {
	c := Channel{Channel: channel, Nodes: []Node{}}
	waves := map[string]int{}
	if o, ok := all.Orders[channel]; ok {
		c.Order = &o
		if p, ok := all.Progress[channel]; ok && p.Of(o) {
			c.Progress = &p
			for i, wave := range p.Waves {
				for _, node := range wave {
					waves[node] = i + 1
				}
			}
		}
	}
	for node := range missed(all, c, waves) {
		c.Nodes = append(c.Nodes, absent(all, channel, node, waves[node]))
	}
	for _, n := range all.Nodes {
		if db, ok := n.Databases[channel]; ok {
			status := Node{Node: n.Node, Wave: waves[n.Node], Database: db, Host: n.Host, PID: n.PID, Labels: n.Labels, Twin: n.Twin,
				PinMessage: all.Pins[channel][n.Node].Message}
			status.ClockOff = clockOff(n, all.Ahead)
			c.Nodes = append(c.Nodes, status)
		}
	}
	slices.SortFunc(c.Nodes, func(a, b Node) int { return strings.Compare(a.Node, b.Node) })
	return c
}
