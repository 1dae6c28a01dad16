package orders

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/engine/enginetest"
	"hotswap/internal/records"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
	"hotswap/internal/trust"
)

// versions has every version; with gone, none is there any more once it was ordered.
type versions struct{ gone bool }

func (versions) Claim(_ context.Context, v repository.Version) (repository.Published, error) {
	return repository.Published{Manifest: repository.Manifest{Version: v, Tag: "of " + v.String()}}, nil
}

func (v versions) Confirm(ctx context.Context, of repository.Version, _ string, _ uint64) (repository.Published, error) {
	if v.gone {
		return repository.Published{}, repository.ErrNotPublished
	}
	return v.Claim(ctx, of)
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

// TestAnOrderThatIsRefusedHasChangedNothing: its version was removed at that moment.
func TestAnOrderThatIsRefusedHasChangedNothing(t *testing.T) {
	t.Parallel()
	recs, err := records.Open(t.Context(), enginetest.Connect(t, engine.Config{URL: enginetest.Start(t).ClientURL()}))
	if err != nil {
		t.Fatal(err)
	}
	rolling := func(version uint64) func(*rollout.Order, bool) (rollout.Order, error) {
		return func(before *rollout.Order, done bool) (rollout.Order, error) {
			return rollout.NewRollout(fmt.Sprint("order of ", version), "catalog", version, rollout.Plan{}, before, done)
		}
	}
	desk := Desk{Records: recs, Versions: versions{}}
	for version := range uint64(2) {
		if _, err := desk.Change(t.Context(), "catalog", false, rolling(version+1)); err != nil {
			t.Fatal(err)
		}
	}
	desk.Versions = versions{gone: true}
	for _, refused := range []func() error{
		func() error { _, err := desk.Rollback(t.Context(), "catalog", "back", 1, nil); return err },
		func() error { _, err := desk.Change(t.Context(), "catalog", false, rolling(3)); return err },
	} {
		if err := refused(); !errors.Is(err, repository.ErrNotPublished) || !strings.Contains(err.Error(), "the order before stands again") {
			t.Error(err)
		}
		if o, _, err := recs.Order(t.Context(), "catalog"); err != nil || o.ID != "order of 2" || o.Halted || o.Kind != rollout.Rollout {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
