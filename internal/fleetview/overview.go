package fleetview

import (
	"cmp"
	"slices"
	"strings"

	"hotswap/internal/rollout"
)

// mostShown is how many nodes of a channel an Overview has one by one.
const mostShown = 200

// Overview is what the page shows.
type Overview struct {
	Controller string          `json:"controller,omitempty"`
	Channels   []OverviewOfOne `json:"channels"`
}

// OverviewOfOne is that of a channel.
type OverviewOfOne struct {
	Channel  string `json:"channel"`
	Headline string `json:"headline"`
	Phase    string `json:"phase,omitempty"`
	// MayHalt and MayGoBack say what an operator could do now.
	MayHalt   bool `json:"may_halt"`
	MayGoBack bool `json:"may_go_back"`
	// Versions says how many of the nodes that answer have which version.
	Versions []NodesOfVersion `json:"versions"`
	Waves    []Wave           `json:"waves,omitempty"`
	Failed   int              `json:"failed"`
	Silent   int              `json:"silent"`
	// Nodes begin with those with which something is wrong, and More is how many are left out.
	Nodes []ShownNode `json:"nodes"`
	More  int         `json:"more,omitempty"`
}

// NodesOfVersion is how many nodes have a version, "-" if it is none.
type NodesOfVersion struct {
	Version string `json:"version"`
	Nodes   int    `json:"nodes"`
}

// Wave is one of a rollout's.
type Wave struct {
	Nodes int  `json:"nodes"`
	There int  `json:"there"` // have the version
	Ready int  `json:"ready"` // have it, or are prepared
	Open  bool `json:"open"`
}

// ShownNode is a node, in words.
type ShownNode struct {
	Node  string `json:"node"`
	Has   string `json:"has"`
	Wave  int    `json:"wave,omitempty"`
	State string `json:"state"`
	// Bad is set if somebody should look at it.
	Bad bool `json:"bad,omitempty"`
}

// Overview makes it.
func (f Fleet) Overview() Overview {
	o := Overview{Controller: f.Controller, Channels: []OverviewOfOne{}}
	for _, c := range f.Channels {
		o.Channels = append(o.Channels, c.overview())
	}
	return o
}

func (c Channel) overview() OverviewOfOne {
	o := OverviewOfOne{Channel: c.Channel, Headline: c.Headline(), Versions: []NodesOfVersion{}, Nodes: []ShownNode{}}
	if c.Progress != nil {
		o.Phase = string(c.Progress.Phase)
		for i, wave := range c.Progress.Waves {
			o.Waves = append(o.Waves, Wave{Nodes: len(wave), Open: i < c.Progress.Open})
		}
	}
	if c.Order != nil {
		o.MayHalt = !c.Order.Halted && o.Phase != string(rollout.Done) && o.Phase != string(rollout.Halted)
		o.MayGoBack = c.Order.Kind == rollout.Rollout && c.Order.Back() != 0
	}
	versions := map[string]int{}
	for _, n := range c.Nodes {
		shown := ShownNode{Node: n.Node, Has: n.Has(c.Channel), Wave: n.Wave, State: n.State(c.Channel, c.Order)}
		failed := c.HasFailed(n)
		// One that has ended is waited for only as long as the rollout lasts.
		shown.Bad = failed || n.Silent || n.Without || n.Ended && n.Wave != 0 && o.Phase != string(rollout.Done) || n.Twin != "" || n.ClockOff != 0
		o.Nodes = append(o.Nodes, shown)
		if failed {
			o.Failed++
		}
		if n.Silent {
			o.Silent++
		}
		if !n.Answers() {
			continue
		}
		versions[shown.Has]++
		if c.Order != nil && 0 < n.Wave && n.Wave <= len(o.Waves) {
			wave := &o.Waves[n.Wave-1]
			there := n.Database.State.Has(*c.Order)
			if there {
				wave.There++
			}
			if there || n.Prepared == c.Order.Version {
				wave.Ready++
			}
		}
	}
	for version, nodes := range versions {
		o.Versions = append(o.Versions, NodesOfVersion{version, nodes})
	}
	slices.SortFunc(o.Versions, func(a, b NodesOfVersion) int { return cmp.Or(b.Nodes-a.Nodes, strings.Compare(b.Version, a.Version)) })
	slices.SortStableFunc(o.Nodes, func(a, b ShownNode) int {
		switch {
		case a.Bad == b.Bad:
			return 0
		case a.Bad:
			return -1
		}
		return 1
	})
	if len(o.Nodes) > mostShown {
		o.More = len(o.Nodes) - mostShown
		o.Nodes = o.Nodes[:mostShown]
	}
	return o
}

// HasFailed reports whether a node can't follow the order, or does not obey it.
func (c Channel) HasFailed(n Node) bool {
	if c.Order == nil {
		return false
	}
	return n.Failed != nil && n.Failed.Order == c.Order.ID || n.Refused != nil && n.Refused.Order == c.Order.ID ||
		c.Progress != nil && c.Progress.HasFailed(n.Node)
}
