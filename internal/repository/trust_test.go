package repository

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"testing"

	"hotswap/internal/trust"
)

// rewrite changes the record of a version, as whoever may write to the bucket could.
func (w *world) rewrite(v Version, change func(*record)) {
	w.t.Helper()
	entry, err := w.repo.fleet.Get(w.ctx(), v.key())
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := parseRecord(v, entry.Value())
	if err != nil {
		w.t.Fatal(err)
	}
	change(&r)
	w.put(v, r)
}

func (w *world) put(v Version, r record) {
	w.t.Helper()
	value, err := json.Marshal(r)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.repo.fleet.Put(w.ctx(), v.key(), value); err != nil {
		w.t.Fatal(err)
	}
}

func TestWhatIsNotSignedByATrustedKeyIsRefused(t *testing.T) {
	w := newWorld(t)
	ours, theirs := newKey(t), newKey(t)
	path := w.database(4096, 100<<10)
	trusting := w.open(trust.Keys{newKey(t).Public().(ed25519.PublicKey), ours.Public().(ed25519.PublicKey)})
	good := w.publish("catalog", path, PublishOptions{Key: ours})
	unsigned := w.publish("catalog", path, PublishOptions{})
	foreign := w.publish("catalog", path, PublishOptions{Key: theirs})
	changed := w.publish("catalog", path, PublishOptions{Key: ours})
	w.rewrite(changed.Version, func(r *record) {
		var m Manifest
		if err := json.Unmarshal(r.Manifest, &m); err != nil {
			t.Fatal(err)
		}
		m.Message = "changed"
		r.Manifest, _ = json.Marshal(m)
	})
	claimed := w.publish("catalog", path, PublishOptions{Key: theirs})
	w.rewrite(claimed.Version, func(r *record) { r.Key = trust.Text(ours.Public().(ed25519.PublicKey)) })
	p, err := trusting.Manifest(t.Context(), good.Version)
	if err != nil || p.Key != trust.Text(ours.Public().(ed25519.PublicKey)) {
		t.Fatal(p, err)
	}
	w.fetch(trusting, p)
	for name, v := range map[string]Version{"unsigned": unsigned.Version, "foreign": foreign.Version, "changed": changed.Version, "claimed": claimed.Version} {
		if _, err := trusting.Manifest(t.Context(), v); !errors.Is(err, trust.ErrUntrusted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	all, err := trusting.Versions(t.Context(), "catalog")
	if len(all) != 1 || !errors.Is(err, trust.ErrUntrusted) {
		t.Errorf("there are %v, %v", all, err)
	}
	// A signature is of one version: its record is not another one's.
	w.rewrite(unsigned.Version, func(r *record) {
		entry, err := w.repo.fleet.Get(t.Context(), good.Version.key())
		if err != nil {
			t.Fatal(err)
		}
		*r, _ = parseRecord(good.Version, entry.Value())
	})
	if _, err := trusting.Manifest(t.Context(), unsigned.Version); !errors.Is(err, ErrManifest) {
		t.Errorf("a version's record was taken for another one's: %v", err)
	}
}
