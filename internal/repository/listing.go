package repository

import (
	"context"

	"hotswap/internal/engine"
)

// List lists the versions of all channels, the older ones of a channel first, for people to choose
// from: it does not look who has signed them, and makes nothing on an engine that has none.
func List(ctx context.Context, e *engine.Engine) (list []Published, err error) {
	kv, err := e.JetStream().KeyValue(ctx, engine.FleetBucket)
	if err != nil {
		return nil, e.Explain("list the versions", err)
	}
	entries, err := e.ReadUpTo(ctx, kv, 0, "version.*.*")
	if err != nil {
		return nil, err
	}
	for _, all := range versionsIn(entries) {
		for _, v := range all {
			m, err := parseManifest(v.record.Manifest, v.version)
			if err == nil && (v.record.State == IsPublished || v.record.State == Retiring) {
				list = append(list, Published{Manifest: m, State: v.record.State, Revision: v.revision, At: entries[v.version.key()].Created()})
			}
		}
	}
	return list, nil
}
