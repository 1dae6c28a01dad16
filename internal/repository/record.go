package repository

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"hotswap/internal/trust"
)

// State is what a version's key says of it.
type State string

const (
	// Publishing: somebody is at it. The key has a TTL, which is renewed as long as that lasts.
	Publishing State = "publishing"
	// IsPublished: all its chunks are there.
	IsPublished State = "published"
	// Retiring: a collection is about to remove it, or was killed. Whoever is to refer to it takes
	// that back.
	Retiring State = "retiring"
)

// record is the value of a version's key.
type record struct {
	State State `json:"state"`
	// Manifest are the bytes that are signed.
	Manifest []byte `json:"manifest,omitempty"`
	trust.Seal
	// Who and Host say who is publishing.
	Who  string `json:"who,omitempty"`
	Host string `json:"host,omitempty"`
}

// Published is a version that can be fetched.
type Published struct {
	Manifest
	State State `json:"state"`
	// Key is the public key of the signature, "" if there is none.
	Key string `json:"key,omitempty"`
	// Revision is of the version's key; At is when it was published, by the engine's clock.
	Revision uint64    `json:"revision"`
	At       time.Time `json:"published"`
}

// ErrNotPublished: there is no such version, or not yet, or no more.
var ErrNotPublished = errors.New("not published")

// manifestKind is what is signed.
const manifestKind = "manifest"

// parseRecord reads what a version's key has.
func parseRecord(v Version, value []byte) (r record, err error) {
	if err := json.Unmarshal(value, &r); err != nil {
		return r, fmt.Errorf("%s: %w: %w", v, ErrManifest, err)
	}
	switch r.State {
	case Publishing, IsPublished, Retiring:
		return r, nil
	}
	return r, fmt.Errorf("%s: %w: its state is %q", v, ErrManifest, r.State)
}

// published reads an entry of a version that is to be used.
func (r *Repository) published(v Version, entry jetstream.KeyValueEntry) (p Published, err error) {
	rec, err := parseRecord(v, entry.Value())
	if err != nil {
		return p, err
	}
	if rec.State == Publishing {
		return p, fmt.Errorf("%s is %w yet: %s is at it", v, ErrNotPublished, rec.by())
	}
	if err := r.trust.Verify(manifestKind, rec.Manifest, rec.Seal); err != nil {
		return p, fmt.Errorf("%s is %w", v, err)
	}
	m, err := parseManifest(rec.Manifest, v)
	if err != nil {
		return p, fmt.Errorf("%s: %w", v, err)
	}
	return Published{Manifest: m, State: rec.State, Key: rec.Key, Revision: entry.Revision(), At: entry.Created()}, nil
}

func (r record) by() string {
	switch {
	case r.Who == "" && r.Host == "":
		return "somebody"
	case r.Host == "":
		return r.Who
	default:
		return r.Who + " on " + r.Host
	}
}

// unmark takes back that a version is about to be removed, if it is still there and so.
func (r *Repository) unmark(ctx context.Context, v Version) error {
	var entry jetstream.KeyValueEntry
	err := r.engine.Retry(ctx, func(ctx context.Context) (err error) {
		entry, err = r.fleet.Get(ctx, v.key())
		return err
	})
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		return r.engine.Explain("read "+v.String(), err)
	}
	rec, err := parseRecord(v, entry.Value())
	if err != nil || rec.State != Retiring {
		return err
	}
	_, _, err = r.swapState(ctx, versionEntry{v, rec, entry.Revision(), entry.Created()}, IsPublished)
	return err
}

// swapState changes the state of a version, and is false if somebody else has changed it.
func (r *Repository) swapState(ctx context.Context, e versionEntry, to State) (revision uint64, ok bool, err error) {
	rec := e.record
	rec.State = to
	value, err := json.Marshal(rec)
	if err != nil {
		return 0, false, err
	}
	err = r.engine.Retry(ctx, func(ctx context.Context) (err error) {
		revision, err = r.fleet.Update(ctx, e.version.key(), value, e.revision)
		return err
	})
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return 0, false, nil
	}
	return revision, err == nil, r.engine.ExplainWrite("change "+e.version.String(), err)
}
