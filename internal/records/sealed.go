package records

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"time"

	"hotswap/internal/rollout"
	"hotswap/internal/trust"
)

// Sealed is an order or a pin, as it is kept: its text, which may be signed. The signature is
// over the very bytes, which name the channel and, of a pin, the node.
type Sealed struct {
	Text json.RawMessage `json:"text"`
	trust.Seal
}

const (
	orderKind = "order"
	pinKind   = "pin"
)

// seal is what is kept of an order or a pin.
func seal(key ed25519.PrivateKey, kind string, value any) (*Sealed, error) {
	text, err := json.Marshal(value)
	return &Sealed{text, trust.Sign(key, kind, text)}, err
}

// Order returns the order of a channel, if one of the keys has signed it.
func (s *Sealed) Order(keys trust.Keys, channel string) (*rollout.Order, error) {
	o, err := unseal[rollout.Order](s, keys, orderKind)
	if err == nil && o.Channel != channel {
		return nil, fmt.Errorf("the order of %s is %w: it is one of another channel", channel, ErrDamaged)
	}
	return o, err
}

// Pin returns the pin of a node, if one of the keys has signed it.
func (s *Sealed) Pin(keys trust.Keys, channel, node string) (*rollout.Pin, error) {
	p, err := unseal[rollout.Pin](s, keys, pinKind)
	if err == nil && (p.Channel != channel || p.Node != node) {
		return nil, fmt.Errorf("the pin of %s is %w: it is one of another node", node, ErrDamaged)
	}
	return p, err
}

func unseal[T any](s *Sealed, keys trust.Keys, kind string) (*T, error) {
	if err := keys.Verify(kind, s.Text, s.Seal); err != nil {
		return nil, fmt.Errorf("the %s is %w", kind, err)
	}
	var value T
	if err := json.Unmarshal(s.Text, &value); err != nil {
		return nil, fmt.Errorf("the %s is %w: %w", kind, ErrDamaged, err)
	}
	return &value, nil
}

// mostAhead is how far the clock of who wrote a record may be ahead of one's own.
const mostAhead = time.Hour

// next is the serial of what is written over a record: the time in milliseconds, so that it is
// above those that nodes have obeyed even if somebody has put back an older record; or one
// more than the record's. One from a far future is no measure, unless it is signed by whom one
// trusts, whose clock was wrong: whoever may write it could exhaust the numbers.
func (e Entry) next() uint64 {
	now, before := uint64(time.Now().UnixMilli()), e.serial()
	if before < now || before > now+uint64(mostAhead.Milliseconds()) && !e.Trusted {
		return now
	}
	return before + 1
}

// after is the serial of the order from which the one is made that is written over it.
func (e Entry) after() uint64 {
	if e.Afresh {
		return 0
	}
	return e.serial()
}

func (e Entry) serial() uint64 {
	if e.Sealed == nil {
		return 0
	}
	before, err := unseal[struct {
		Serial uint64 `json:"serial"`
	}](e.Sealed, nil, "")
	if err != nil {
		return 0
	}
	return before.Serial
}
