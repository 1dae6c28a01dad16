package fleet

import (
	"crypto/ed25519"
	"encoding/json"
	"testing"

	"hotswap/internal/records"
	"hotswap/internal/rollout"
	"hotswap/internal/trust"
)

// TestAPinThatWasTakenAwayIsNothingToRefuse: a node that begins to trust keys finds what was
// pinned and unpinned before that, and would complain of it for ever.
func TestAPinThatWasTakenAwayIsNothingToRefuse(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := view{keys: trust.Keys{public}, channel: "catalog", node: "a"}
	pin := func(version uint64, key ed25519.PrivateKey) string {
		p := rollout.Pin{Channel: "catalog", Node: "a", Version: version, Serial: v.seen[2].revision + 1}
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		v.take(records.Change{Kind: records.APin, Entry: records.Entry{Revision: v.seen[2].revision + 1,
			Sealed: &records.Sealed{Text: text, Seal: trust.Sign(key, "pin", text)}}, Pin: &p})
		return v.refusedPin
	}
	if refused := pin(0, nil); refused != "" {
		t.Errorf("a node without a pin refuses to be unpinned: %s", refused)
	}
	if refused := pin(2, nil); refused == "" || v.pin != nil {
		t.Error("a pin that is not signed is obeyed")
	}
	if refused := pin(0, nil); refused != "" {
		t.Errorf("it still refuses: %s", refused)
	}
	if refused := pin(3, key); refused != "" || v.pin.Version != 3 {
		t.Errorf("refused: %s", refused)
	}
	if refused := pin(0, nil); refused == "" || v.pin.Version != 3 {
		t.Error("whoever does not sign takes a pin away")
	}
}
