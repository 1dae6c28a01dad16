package fleetview

import (
	"slices"
	"time"

	"hotswap/internal/records"
)

// Absence is set of a node that does not answer, or not for the channel.
type Absence struct {
	// Silent says that it was not heard for ten seconds, Ended that its program has ended it,
	// and Since when that was, by the engine's clock, if it is known.
	Silent bool      `json:"silent,omitempty"`
	Ended  bool      `json:"ended,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	// Without says that it answers, and has no database of the channel.
	Without bool `json:"without,omitempty"`
	// Unknown says that nobody of that name has joined within the last week.
	Unknown bool `json:"unknown,omitempty"`
}

// Answers reports whether it is none.
func (a Absence) Answers() bool { return !a.Silent && !a.Ended && !a.Without }

// missed are the nodes that do not answer for a channel, and that an order or a pin concerns:
// those of its waves, those that are pinned, and those that have been there within the last
// week and that the order means.
func missed(all *records.Everything, c Channel, waves map[string]int) map[string]bool {
	missed := map[string]bool{}
	for node := range waves {
		missed[node] = true
	}
	for node, pin := range all.Pins[c.Channel] {
		if pin.Version != 0 {
			missed[node] = true
		}
	}
	for name, j := range all.Joined {
		if _, answers := all.Nodes[name]; !answers && c.Order != nil && c.Order.Selects(j.Labels) && slices.Contains(j.Channels, c.Channel) {
			missed[name] = true
		}
	}
	for name, n := range all.Nodes {
		if _, has := n.Databases[c.Channel]; has {
			delete(missed, name)
		}
	}
	return missed
}

// absent is one of them.
func absent(all *records.Everything, channel, name string, wave int) Node {
	j, known := all.Joined[name]
	n := Node{Node: name, Wave: wave, Host: j.Host, PID: j.PID, Labels: j.Labels}
	pin := all.Pins[channel][name]
	n.Pinned, n.PinMessage = pin.Version, pin.Message
	if _, n.Without = all.Nodes[name]; n.Without {
		return n
	}
	left, seen := all.Left[name]
	n.Silent, n.Ended, n.Since = !left.Ended, left.Ended, left.At
	n.Unknown = !known && !seen && wave == 0
	return n
}

// text says it.
func (a Absence) text(channel string) string {
	switch {
	case a.Without:
		return "answers, and has no database of " + channel
	case a.Unknown:
		return "silent: no node of this name is known"
	case a.Since.IsZero():
		return "silent"
	}
	what := "silent since "
	if a.Ended {
		what = "ended at "
	}
	return what + a.Since.Local().Format(time.DateTime)
}
