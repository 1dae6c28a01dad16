package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/printable"
	"hotswap/internal/records"
	"hotswap/internal/repository"
)

// ofFleet reports whether the command is one of `hotswap fleet`.
func (l *commandLine) ofFleet() bool {
	return l.node.Parent != nil && l.node.Parent.Name == "fleet"
}

// fleetNames adds the channels, the versions or the nodes that the engine knows; none, if it does
// not answer while somebody who pressed Tab waits, or does not let them be read.
func (l *commandLine) fleetNames(ctx context.Context, what, word string, add func(name, description string)) {
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	found := make(chan map[string]string, 1)
	go func() { found <- l.askFleet(ctx, what, word) }() // a name server is not told how long it may take
	select {
	case names := <-found:
		for _, name := range slices.Sorted(maps.Keys(names)) {
			add(name, printable.Line(names[name]))
		}
	case <-ctx.Done():
	}
}

// askFleet returns the names with their descriptions.
func (l *commandLine) askFleet(ctx context.Context, what, word string) map[string]string {
	e, err := engineFlags{Engine: l.given["engine"], Context: l.given["context"], Creds: l.given["creds"],
		TLSCA: l.given["tlsca"], TLSCert: l.given["tlscert"], TLSKey: l.given["tlskey"]}.connect(ctx)
	if err != nil {
		return nil
	}
	defer e.Close()
	switch what {
	case "node":
		return nodeNames(ctx, e)
	case "channel":
		return versionNames(ctx, e, func(repository.Published) bool { return false }, true)
	case "version":
		channel, _, named := strings.Cut(word, "@")
		if named {
			return versionNames(ctx, e, func(p repository.Published) bool { return p.Channel == channel }, false)
		}
		return versionNames(ctx, e, nil, l.node.Name != "pin")
	}
	return nil
}

func nodeNames(ctx context.Context, e *engine.Engine) map[string]string {
	nodes, _ := records.Known(ctx, e)
	names := map[string]string{}
	for _, n := range nodes {
		var labels []string
		for _, label := range slices.Sorted(maps.Keys(n.Labels)) {
			labels = append(labels, label+"="+n.Labels[label])
		}
		names[n.Node] = strings.Join(labels, " ")
	}
	return names
}

// versionNames are the versions that are wanted, without wanted the newest of each channel; and
// the channels.
func versionNames(ctx context.Context, e *engine.Engine, wanted func(repository.Published) bool, channels bool) map[string]string {
	all, _ := repository.List(ctx, e)
	names, newest := map[string]string{}, map[string]repository.Published{}
	describe := func(p repository.Published) {
		names[p.Version.String()] = strings.TrimSuffix(fmt.Sprintf("%s: %s", p.At.Local().Format(time.DateTime), p.Message), ": ")
	}
	for _, p := range all { // the older ones first
		newest[p.Channel] = p
		if wanted != nil && wanted(p) {
			describe(p)
		}
	}
	for channel, p := range newest {
		if wanted == nil {
			describe(p)
		}
		if channels {
			names[channel] = fmt.Sprintf("the newest is %d", p.Number)
		}
	}
	return names
}
