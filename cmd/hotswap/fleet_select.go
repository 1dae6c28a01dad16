package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"hotswap/internal/printable"
	"hotswap/internal/rollout"
)

// refuseNobody refuses a selection of nodes that matches none: it is mistyped, or comes before
// the nodes.
func (f *control) refuseNobody(ctx context.Context, channel string, selection map[string]string) error {
	all, err := f.recs.Read(ctx)
	if err != nil {
		return fleetFailure(err)
	}
	labels := map[string]map[string]string{} // by node
	for name, j := range all.Joined {
		if slices.Contains(j.Channels, channel) {
			labels[name] = j.Labels
		}
	}
	for name, n := range all.Nodes {
		if _, ok := n.Rollout(channel); ok {
			labels[name] = n.Labels
		} else {
			delete(labels, name)
		}
	}
	o := rollout.Order{Plan: rollout.Plan{Select: selection}}
	there := map[string]int{} // how many nodes have a label of those names
	for _, has := range labels {
		if o.Selects(has) {
			return nil
		}
		for name := range selection {
			if value, ok := has[name]; ok {
				there[name+"="+value]++
			}
		}
	}
	var wanted []string
	for _, name := range slices.Sorted(maps.Keys(selection)) {
		wanted = append(wanted, name+"="+selection[name])
	}
	refusal := failf(exitUsage, "no node of the channel %s has %s: nothing was ordered", channel, printable.Line(strings.Join(wanted, " and ")))
	if len(there) == 0 {
		return refusal.withHint("--allow-empty orders it for nodes that join later")
	}
	var found []string
	for _, label := range slices.Sorted(maps.Keys(there)) {
		found = append(found, fmt.Sprintf("%s (%s)", label, plural(there[label], "node")))
	}
	return refusal.withHint("there are %s; --allow-empty orders it for nodes that join later", shortList(found))
}
