package rollout

import (
	"slices"
	"time"
)

// Phase is how far an order has come.
type Phase string

const (
	Preparing Phase = "preparing"         // nodes fetch the version and check it
	Swapping  Phase = "swapping"          // the open waves swap it in
	Soaking   Phase = "soaking"           // the open waves are watched
	Awaiting  Phase = "awaiting-approval" // an operator has to approve the next wave
	Halted    Phase = "halted"            // nothing moves until the order is changed
	Done      Phase = "done"              // every node should have the version
)

// Reasons of which more is made than words: of a halt that somebody has ordered, and of a
// wait that only an operator ends.
const (
	ByOperator = "by an operator"
	AllPinned  = "every node that is meant, and answers, is pinned"
)

// Progress is how far an order has come, as the controller has written it.
type Progress struct {
	// Order and Attempt are those of the order; the rest means nothing for another one.
	Order   string `json:"order"`
	Attempt int    `json:"attempt,omitempty"`
	Phase   Phase  `json:"phase"`
	// Since is when the phase began, by the engine's clock, for people. The zero time is when this
	// record was written: see At.
	Since time.Time `json:"since,omitzero"`
	// Waves are the nodes in the order in which they swap, fixed when the first of them
	// were found; Open is how many waves may.
	Waves [][]string `json:"waves,omitempty"`
	Open  int        `json:"open,omitempty"`
	// Failed are the nodes that can't follow, Silent those that don't answer, and Skipped
	// those that did not when their wave opened: they are not waited for, and catch up once
	// they are back.
	Failed  []Failed `json:"failed,omitempty"`
	Silent  []string `json:"silent,omitempty"`
	Skipped []string `json:"skipped,omitempty"`
	// Reason says why it is halted, or what it waits for.
	Reason string `json:"reason,omitempty"`
}

// Failed is a node that can't follow an order. Why is left out if many have failed: the nodes
// themselves say it, too.
type Failed struct {
	Node string `json:"node"`
	Why  string `json:"why,omitempty"`
}

// At returns the progress as it is read from a record that the engine took at that time.
func (p Progress) At(written time.Time) Progress {
	if p.Since.IsZero() {
		p.Since = written
	}
	return p
}

// Entered names a phase that a rollout was in once.
type Entered struct {
	order   string
	attempt int
	phase   Phase
	open    int
	since   int64
}

// Entered is the phase that p is in.
func (p Progress) Entered() Entered {
	return Entered{p.Order, p.Attempt, p.Phase, p.Open, p.Since.UnixNano()}
}

// Of reports whether p is the progress of the order as it stands.
func (p Progress) Of(o Order) bool { return p.Order == o.ID && p.Attempt == o.Attempt }

// HasFailed reports whether the controller has counted the node as failed.
func (p Progress) HasFailed(node string) bool {
	return slices.ContainsFunc(p.Failed, func(f Failed) bool { return f.Node == node })
}

// wave returns the number of the node's wave, from 0.
func (p Progress) wave(node string) (int, bool) {
	for i, nodes := range p.Waves {
		if slices.Contains(nodes, node) {
			return i, true
		}
	}
	return 0, false
}

// DiffersInSilence reports whether next only has other nodes that are silent.
func (p Progress) DiffersInSilence(next Progress) bool {
	next.Silent = p.Silent
	return same(p, next)
}

// enter returns the progress at the beginning of a phase.
func (p Progress) enter(phase Phase, reason string) Progress {
	p.Phase, p.Reason, p.Since = phase, reason, time.Time{}
	return p
}
