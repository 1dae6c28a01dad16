package repository

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"hotswap/internal/engine"
)

// versionEntry is a version's key as it was read.
type versionEntry struct {
	version  Version
	record   record
	revision uint64
	at       time.Time // when it was written, by the engine's clock
}

// versionsIn returns the versions among the keys, by channel, the newest last. One that is
// damaged counts as published: it is in nobody's way but a collection's.
func versionsIn(entries engine.Entries) map[string][]versionEntry {
	all := map[string][]versionEntry{}
	for key, entry := range entries {
		v, ok := ofKey(key)
		if !ok {
			continue
		}
		rec, err := parseRecord(v, entry.Value())
		if err != nil {
			rec.State = damaged
		}
		all[v.Channel] = append(all[v.Channel], versionEntry{v, rec, entry.Revision(), entry.Created()})
	}
	for _, list := range all {
		slices.SortFunc(list, func(a, b versionEntry) int { return int(int64(a.version.Number - b.version.Number)) })
	}
	return all
}

// damaged is the state of a version whose key says nothing.
const damaged State = "damaged"

// references are the versions that orders and pins name, with which do: their keys are JSON, with
// a text of these fields, signed or not.
func references(entries engine.Entries) (map[Version][]string, error) {
	all := map[Version][]string{}
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		entry := entries[key]
		kind, rest, ok := strings.Cut(key, ".")
		if !ok || kind != "order" && kind != "pin" {
			continue
		}
		channel, node, _ := strings.Cut(rest, ".")
		add := func(number uint64, why string) {
			if v := (Version{channel, number}); number != 0 && !slices.Contains(all[v], why) {
				all[v] = append(all[v], why)
			}
		}
		var names struct {
			Text struct {
				Version uint64 `json:"version"`
				Before  []struct {
					Version uint64 `json:"version"`
				} `json:"before"`
			} `json:"text"`
		}
		if err := json.Unmarshal(entry.Value(), &names); err != nil {
			return nil, fmt.Errorf("the key %s can't be read, and may name a version: %w", key, err)
		}
		if kind == "pin" {
			add(names.Text.Version, "pinned on "+node)
			continue
		}
		add(names.Text.Version, "ordered")
		for _, before := range names.Text.Before {
			add(before.Version, "ordered before")
		}
	}
	return all, nil
}
