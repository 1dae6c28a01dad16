package repository

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/nats-io/nats.go/jetstream"

	"hotswap/internal/engine"
	"hotswap/internal/trust"
)

// Repository has the versions that are published on an engine. It is safe for concurrent
// use.
type Repository struct {
	engine *engine.Engine
	trust  trust.Keys
	fleet  jetstream.KeyValue
	stream jetstream.Stream // of chunks

	mu      sync.Mutex // guards buckets
	buckets map[string]*bucket
}

// Open opens the repository of an engine, and makes what it needs there if that is not
// there. With keys, only versions signed by one of those keys are seen.
func Open(ctx context.Context, e *engine.Engine, keys trust.Keys) (*Repository, error) {
	fleet, err := e.Fleet(ctx)
	if err != nil {
		return nil, err
	}
	chunks, err := e.Chunks(ctx)
	if err != nil {
		return nil, err
	}
	return &Repository{engine: e, trust: keys, fleet: fleet, stream: chunks, buckets: map[string]*bucket{}}, nil
}

// Versions returns the published versions of a channel, the newest last. What is not
// trusted, or can't be read, is left out, and is the error beside the rest.
func (r *Repository) Versions(ctx context.Context, channel string) ([]Published, error) {
	if err := engine.CheckName("channel", channel); err != nil {
		return nil, err
	}
	entries, err := r.engine.ReadUpTo(ctx, r.fleet, 0, versionKeys(channel)+"*")
	if err != nil {
		return nil, err
	}
	return r.versions(entries, channel)
}

// versions are those of a channel among the keys of the bucket.
func (r *Repository) versions(entries engine.Entries, channel string) (all []Published, err error) {
	var refused []error
	for key, entry := range entries {
		v, ok := ofKey(key)
		if !ok || v.Channel != channel {
			continue
		}
		p, err := r.published(v, entry)
		switch {
		case err == nil:
			all = append(all, p)
		case !errors.Is(err, ErrNotPublished):
			refused = append(refused, err)
		}
	}
	slices.SortFunc(all, func(a, b Published) int { return int(int64(a.Number - b.Number)) })
	return all, errors.Join(refused...)
}

// Manifest returns a version. The error is ErrNotPublished, trust.ErrUntrusted or ErrManifest if
// it can't be used.
func (r *Repository) Manifest(ctx context.Context, v Version) (Published, error) {
	var entry jetstream.KeyValueEntry
	err := r.engine.Retry(ctx, func(ctx context.Context) (err error) {
		entry, err = r.fleet.Get(ctx, v.key())
		return err
	})
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Published{}, r.missing(ctx, v)
	}
	if err != nil {
		return Published{}, r.engine.Explain("read "+v.String(), err)
	}
	return r.published(v, entry)
}

// Claim is Manifest for whoever is about to write a key of the bucket that refers to the
// version: if a collection is about to remove it, or was killed before it had, that is taken back.
func (r *Repository) Claim(ctx context.Context, v Version) (p Published, err error) {
	for {
		if p, err = r.Manifest(ctx, v); err != nil || p.State == IsPublished {
			return p, err
		}
		if err := r.unmark(ctx, v); err != nil {
			return p, err
		}
	}
}

// Confirm is Claim for whoever has just written the key, at that revision: no collection that
// has not seen that key will remove a version that Confirm returns. One that was removed
// meanwhile is ErrNotPublished.
func (r *Repository) Confirm(ctx context.Context, v Version, key string, revision uint64) (Published, error) {
	for {
		entries, err := r.engine.ReadUpTo(ctx, r.fleet, revision, v.key(), key)
		if err != nil {
			return Published{}, err
		}
		entry, ok := entries[v.key()]
		if !ok {
			return Published{}, r.missing(ctx, v)
		}
		p, err := r.published(v, entry)
		if err != nil || p.State == IsPublished {
			return p, err
		}
		if err := r.unmark(ctx, v); err != nil {
			return p, err
		}
	}
}

// missing says what there is instead of a version.
func (r *Repository) missing(ctx context.Context, v Version) error {
	all, err := r.Versions(ctx, v.Channel)
	switch {
	case err != nil:
		return fmt.Errorf("%s is %w", v, ErrNotPublished)
	case len(all) == 0:
		return fmt.Errorf("%s is %w: the channel %s has no versions", v, ErrNotPublished, v.Channel)
	}
	newest := all[len(all)-1].Number
	if v.Number <= newest {
		return fmt.Errorf("%s is %w: it was removed, or its publishing broke off; the newest is %d", v, ErrNotPublished, newest)
	}
	return fmt.Errorf("%s is %w: the newest is %d", v, ErrNotPublished, newest)
}
