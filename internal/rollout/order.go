package rollout

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Kind is what an order is.
type Kind string

const (
	Rollout  Kind = "rollout"
	Rollback Kind = "rollback"
)

// Order is what an operator wants of a channel.
type Order struct {
	// Serial grows with each order of the channel, and each change of one. After is that of
	// the order from which this one was made, 0 if it takes nothing from any.
	Serial uint64 `json:"serial"`
	After  uint64 `json:"after,omitempty"`
	// ID tells this order from the one before; halting and resuming leave it.
	ID      string `json:"id"`
	Channel string `json:"channel"`
	Kind    Kind   `json:"kind"`
	Version uint64 `json:"version"`
	// Newest is the newest version that was ordered, of a rollback when it was ordered: what is
	// newer than its Version is withdrawn up to that.
	Newest uint64 `json:"newest"`
	// Before are the orders before this one that still count for some node, the latest first.
	Before []Before `json:"before,omitempty"`
	// Tags name the content of the versions above, by number: an engine that was emptied, or is
	// from an older copy, gives the numbers again to others.
	Tags map[uint64]string `json:"tags,omitempty"`
	Plan

	// Halted is set by an operator, and Attempt counts how often the order was resumed.
	Halted  bool `json:"halted,omitempty"`
	Attempt int  `json:"attempt,omitempty"`
	// Approvals is how many waves after the first an operator has approved.
	Approvals int `json:"approvals,omitempty"`

	By      string `json:"by,omitempty"`
	Message string `json:"message,omitempty"`
}

// Plan is how a rollout proceeds.
type Plan struct {
	// Select are the labels of the nodes that are meant; none means all of them.
	Select map[string]string `json:"select,omitempty"`
	// Canary is how many nodes make the first wave; 0 means that there is no such wave.
	Canary int `json:"canary,omitempty"`
	// Waves are the percentages of the nodes that have been reached with each wave; the
	// last is 100, and is added if it is missing.
	Waves []int `json:"waves,omitempty"`
	// Soak is how long each wave is watched before the next one opens.
	Soak time.Duration `json:"soak_ns,omitempty"`
	// MaxFailed is how many nodes may fail before the rollout halts.
	MaxFailed int `json:"max_failed,omitempty"`
	// Approve has every wave after the first wait for an operator.
	Approve bool `json:"approve,omitempty"`
	// Timeout is how long a node that answers may take to prepare, or to swap, and how
	// long a wave waits for one node that answers at all; 0 means an hour.
	Timeout time.Duration `json:"timeout_ns,omitempty"`
}

// Check returns what is wrong with a plan.
func (p Plan) Check() error {
	for _, figure := range []struct {
		of string
		is any
		ok bool
	}{
		{"canary", p.Canary, p.Canary >= 0},
		{"max-failed", p.MaxFailed, p.MaxFailed >= 0},
		{"soak", p.Soak, p.Soak >= 0},
		{"timeout", p.Timeout, p.Timeout >= 0},
	} {
		if !figure.ok {
			return fmt.Errorf("--%s %v: it can't be negative", figure.of, figure.is)
		}
	}
	last := 0
	for _, percent := range p.Waves {
		if percent <= last || percent > 100 {
			return fmt.Errorf("waves must be growing percentages up to 100, such as 10%%,50%%,100%% (not %d%% after %d%%)", percent, last)
		}
		last = percent
	}
	return nil
}

// NewRollout returns the order to roll out a version, which follows before: nil if there
// is none yet. done says whether that one's progress is done.
func NewRollout(id, channel string, version uint64, plan Plan, before *Order, done bool) (Order, error) {
	o := Order{ID: id, Channel: channel, Kind: Rollout, Version: version, Newest: version, Plan: plan}
	if err := plan.Check(); err != nil || before == nil {
		return o, err
	}
	if version < before.Version {
		return o, fmt.Errorf("%s@%d is older than %[1]s@%[3]d, which was ordered before: to go back, use rollback %[1]s@%[2]d",
			channel, version, before.Version)
	}
	return o.after(*before, done), nil
}

// NewRollback returns the order to go back to a version, or with 0 to the one before that
// of the order before.
func NewRollback(id string, version uint64, before Order) (Order, error) {
	o := Order{ID: id, Channel: before.Channel, Kind: Rollback, Version: version}
	o.Select = maps.Clone(before.Select)
	if version == 0 {
		o.Version = before.Back()
	}
	switch {
	case o.Version == 0:
		return o, fmt.Errorf("no version is known that %s had before %[1]s@%[2]d: name one, as in rollback %[1]s@N", o.Channel, before.Version)
	case o.Version >= before.Newest:
		return o, fmt.Errorf("%s@%d is not older than %[1]s@%[3]d, which was ordered before: use rollout %[1]s@%[2]d",
			o.Channel, o.Version, before.Newest)
	}
	return o.after(before, false), nil // whom it meant goes back
}

// after returns the order as one that follows before.
func (o Order) after(before Order, done bool) Order {
	o.Newest = max(o.Newest, before.Newest)
	o.Before = before.left(o, done)
	return o.tagged(before.Tags)
}

// Back is the version that a rollback goes to unless it names one: the latest before this
// order that all nodes that it selects were to have; 0 if none is known.
func (o Order) Back() uint64 {
	if o.Kind == Rollback {
		return 0
	}
	for _, b := range o.Before {
		if b.Ended && b.Version < o.Version && selects(b.Select, o.Select) {
			return b.Version
		}
	}
	return 0
}

// Names returns the versions that a node may be sent to by the order.
func (o Order) Names() []uint64 {
	named := []uint64{o.Version}
	for _, b := range o.Before {
		named = append(named, b.Version)
	}
	return named
}

// tagged returns the order with those of the tags that are of versions that it names.
func (o Order) tagged(tags map[uint64]string) Order {
	for _, number := range o.Names() {
		if tag := tags[number]; tag != "" {
			o = o.Tagged(number, tag)
		}
	}
	return o
}

// Tagged returns the order with the tag of a version.
func (o Order) Tagged(number uint64, tag string) Order {
	o.Tags = maps.Clone(o.Tags)
	if o.Tags == nil {
		o.Tags = map[uint64]string{}
	}
	o.Tags[number] = tag
	return o
}

// Halt returns the order with no further swaps.
func (o Order) Halt() Order { o.Halted = true; return o }

// Resume returns the order as it continues after a halt: nodes that failed try again.
func (o Order) Resume() Order { o.Halted = false; o.Attempt++; return o }

// Allow returns the order with the next wave approved, when open waves are open.
func (o Order) Allow(open int) Order { o.Approvals = max(o.Approvals, open); return o }

// Approved reports whether the wave after that many may open.
func (o Order) Approved(open int) bool { return !o.Approve || o.Approvals >= open }

// Selects reports whether the order means a node of these labels.
func (o Order) Selects(labels map[string]string) bool { return selects(o.Select, labels) }

// moves says what the order has nodes do.
func (o Order) moves() string {
	if o.Kind == Rollback {
		return "go back"
	}
	return "swap"
}

// Patience is how long a node may take to prepare, and to swap.
func (p Plan) Patience() time.Duration {
	if p.Timeout == 0 {
		return time.Hour
	}
	return p.Timeout
}

// Pin holds one node at a version. One without a version is a pin that was taken away: from
// a version at which it was held, the node may then go back to what the order says.
type Pin struct {
	// Serial grows with each pin of the node for the channel.
	Serial  uint64 `json:"serial"`
	Channel string `json:"channel"`
	Node    string `json:"node"`
	Version uint64 `json:"version,omitempty"`
	Tag     string `json:"tag,omitempty"` // of Version, as in an Order
	// From are the versions at which it was held by the pins before: it may have been away
	// since any of them.
	From    []uint64 `json:"from,omitempty"`
	By      string   `json:"by,omitempty"`
	Message string   `json:"message,omitempty"`
}

// mostFrom is how many a pin remembers.
const mostFrom = 100

// After returns the pin as one that follows before, which may be nil.
func (p Pin) After(before *Pin) Pin {
	if before == nil {
		return p
	}
	p.From = slices.Clone(before.From)
	if before.Version != 0 && !slices.Contains(p.From, before.Version) {
		p.From = append(p.From, before.Version)
	}
	p.From = p.From[max(0, len(p.From)-mostFrom):]
	return p
}

// held reports whether a node with this pin is held at a version.
func (p *Pin) held() bool { return p != nil && p.Version != 0 }

// released reports whether it was, at the version that it has.
func (p *Pin) released(have uint64) bool {
	return p != nil && p.Version == 0 && slices.Contains(p.From, have)
}
