package orders

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"testing"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/engine/enginetest"
	"hotswap/internal/records"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
	"hotswap/internal/trust"
)

// versions has every version.
type versions struct{}

func (versions) Manifest(_ context.Context, v repository.Version) (repository.Published, error) {
	return repository.Published{Manifest: repository.Manifest{Version: v, Tag: "of " + v.String()}}, nil
}

func (v versions) Confirm(ctx context.Context, of repository.Version, _ string, _ uint64) (repository.Published, error) {
	return v.Manifest(ctx, of)
}

// TestAnOrderCountsOnFromAClockThatWasWrong, and names the content of its version.
func TestAnOrderCountsOnFromAClockThatWasWrong(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	e := enginetest.Connect(t, engine.Config{URL: enginetest.Start(t).ClientURL()})
	recs, err := records.Open(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	ahead := uint64(time.Now().Add(24 * time.Hour).UnixMilli())
	text, err := json.Marshal(rollout.Order{ID: "a", Channel: "catalog", Version: 1, Kind: rollout.Rollout, Serial: ahead})
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := json.Marshal(records.Sealed{Text: text, Seal: trust.Sign(key, "order", text)})
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := e.Fleet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fleet.Put(t.Context(), records.OrderKey("catalog"), sealed); err != nil {
		t.Fatal(err)
	}
	desk := Desk{Records: recs.SignedWith(key), Versions: versions{}, Keys: trust.Keys{public}}
	_, err = desk.Change(t.Context(), "catalog", false, func(before *rollout.Order, done bool) (rollout.Order, error) {
		return rollout.NewRollout("b", "catalog", 2, rollout.Plan{}, before, done)
	})
	if err != nil {
		t.Fatal(err)
	}
	o, _, err := recs.Order(t.Context(), "catalog")
	if err != nil || o.Serial != ahead+1 || o.Tags[2] != "of catalog@2" {
		t.Errorf("%+v: %v", o, err)
	}
	halted, err := desk.Halt(t.Context(), "catalog")
	if err != nil || halted.Tags[2] != "of catalog@2" {
		t.Errorf("%+v: %v", halted, err)
	}
}
