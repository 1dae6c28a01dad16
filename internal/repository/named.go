package repository

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/nats-io/nats.go/jetstream"
)

// named is what the versions name: chunks on the engine, and objects.
type named struct {
	chunks  map[name]bool
	objects map[object]bool // without their sizes
}

// named reads the indexes of the versions. One that can't be read ends the collection: nobody
// knows what it names.
func (g *collection) named(ctx context.Context, versions []versionEntry) (named, error) {
	all := named{map[name]bool{}, map[object]bool{}}
	for _, e := range versions {
		err := g.add(ctx, all, e)
		if err != nil && g.removed(ctx, e) { // by another collection, which may have removed the index
			continue
		}
		if err != nil {
			return named{}, fmt.Errorf("%w: no chunk is removed as long as %s is there", err, e.version)
		}
	}
	return all, nil
}

// add adds what one version names.
func (g *collection) add(ctx context.Context, all named, e versionEntry) error {
	m, err := parseManifest(e.record.Manifest, e.version)
	if err != nil {
		return err
	}
	from, err := g.r.chunksOf(ctx, m)
	if err != nil {
		return err
	}
	x, err := readIndex(ctx, from, m)
	if err != nil {
		return err
	}
	parts := make([]name, len(m.Index))
	for i, text := range m.Index {
		if parts[i], err = parseName(text); err != nil {
			return err
		}
	}
	if m.Objects == nil {
		maps.Copy(all.chunks, namesOf(x, parts))
		return nil
	}
	for key := range objectsOf(m.Objects.Dir, x, parts) {
		all.objects[object{url: m.Objects.URL, key: key}] = true
	}
	return nil
}

// removed reports whether a version is no longer there.
func (g *collection) removed(ctx context.Context, e versionEntry) bool {
	_, err := g.r.fleet.Get(ctx, e.version.key())
	return errors.Is(err, jetstream.ErrKeyNotFound)
}
