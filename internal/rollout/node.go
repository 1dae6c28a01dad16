package rollout

import (
	"fmt"
	"time"
)

// Node is what a node says of itself, and of its database of the channel.
type Node struct {
	Name   string
	Labels map[string]string
	Quiet  time.Duration // since it was heard last
	State
}

// State is how a node stands with the database of one channel.
type State struct {
	// Have is the version that is live: 0 if there is none, or if it is none that was
	// published.
	Have uint64 `json:"have,omitempty"`
	// Knows is the latest order under which the node has looked whether it was written to; "" if
	// it does not say.
	Knows string `json:"knows,omitempty"`
	// Tag names the content of that version.
	Tag string `json:"tag,omitempty"`
	// WrittenUnder is the order under which a node that leaves alone what was written to has found
	// that its database was, since it was Have. An order since then it does not fulfil.
	WrittenUnder string `json:"written_under,omitempty"`
	// Healthy is the version that the program has found to be in order since it was
	// swapped in, and Prepared the one that is ready to be.
	Healthy  uint64 `json:"healthy,omitempty"`
	Prepared uint64 `json:"prepared,omitempty"`
	// Agreed is how long ago the program began to find that last, when the node said so; 0
	// where it is not asked.
	Agreed time.Duration `json:"agreed_ns,omitempty"`
	// Pinned is the version at which the node is held, 0 without a pin.
	Pinned uint64 `json:"pinned,omitempty"`
	// Failed is the latest failure to prepare, to swap, or to be in order.
	Failed *Failure `json:"failed,omitempty"`
	// Hook is the program's function that the node waits for, if it has been for long.
	Hook *Hook `json:"hook,omitempty"`
	// Refused is the order that the node does not obey, because it is not signed by whom the
	// node trusts; it obeys the one before.
	Refused *Failure `json:"refused,omitempty"`
}

// Hook is a function of the program's that has not returned since then, by the node's clock.
type Hook struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since"`
}

func (h *Hook) text() string {
	if h == nil {
		return ""
	}
	return fmt.Sprintf(": its %s has not returned since %s", h.Name, h.Since.UTC().Format(time.RFC3339))
}

// Failure is why a node can't follow an order. It counts for that order alone, and until it
// is resumed.
type Failure struct {
	Order   string `json:"order"`
	Attempt int    `json:"attempt,omitempty"`
	Version uint64 `json:"version"`
	Why     string `json:"why"`
}

// Of reports whether the failure is one to follow the order as it stands.
func (f Failure) Of(o Order) bool {
	return f.Order == o.ID && f.Attempt == o.Attempt && f.Version == o.Version
}

// failed returns why the node can't follow the order, if so.
func (s State) failed(o Order) (why string, ok bool) {
	for _, f := range []*Failure{s.Failed, s.Refused} {
		if f != nil && f.Of(o) {
			return f.Why, true
		}
	}
	return "", false
}

// Has reports whether the node has the order's version, and not another one of that number, nor
// what was made of it before it was ordered; from that nobody is to go back, though.
func (s State) Has(o Order) bool {
	tag := o.Tags[o.Version]
	if s.WrittenUnder != "" && s.WrittenUnder != o.ID && o.Kind == Rollout {
		return false
	}
	return s.Have == o.Version && (tag == "" || s.Tag == "" || s.Tag == tag)
}

// knows reports whether what the node says is of a time when it knew the order.
func (s State) knows(o Order) bool { return s.Knows == "" || s.Knows == o.ID }

// there reports whether the node has the order's version and is in order with it.
func (s State) there(o Order) bool { return s.Has(o) && s.Healthy == o.Version }

// ready reports whether the node can swap the order's version in at once, or has it.
func (s State) ready(o Order) bool { return s.Has(o) || s.Prepared == o.Version }
