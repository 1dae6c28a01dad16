package rollout

import (
	"maps"
	"slices"
)

// Before is what an order that another one has followed still says. For a node that the latest
// order does not send anywhere, the latest of those counts that it was meant by: so what a
// node should have depends on its labels, and not on whether it was there at the time.
type Before struct {
	Kind    Kind              `json:"kind"`
	Version uint64            `json:"version"`
	Newest  uint64            `json:"newest,omitempty"` // of a rollback, as in Order
	Select  map[string]string `json:"select,omitempty"`
	// Ended says that all whom it meant were to have the version, and Halted that it was
	// halted, be it after that. One that was halted, or followed on the way, is kept by those
	// that have it by then, and no other gets it.
	Ended  bool `json:"ended,omitempty"`
	Halted bool `json:"halted,omitempty"`
}

// counts reports whether nodes still go by it.
func (b Before) counts() bool { return b.Ended && !b.Halted }

// left returns what the orders up to this one leave for the next, the latest first, without
// what no node goes by any more. If that is of the same version again, the way back from it is
// as it was. done is as in NewRollout.
func (o Order) left(next Order, done bool) (all []Before) {
	again := next.Kind == Rollout && next.Version == o.Version
	latest := Before{Kind: o.Kind, Version: o.Version, Select: maps.Clone(o.Select), Ended: done, Halted: o.Halted}
	if o.Kind == Rollback {
		latest.Newest, latest.Ended = o.Newest, true // there are no waves
	}
	all = []Before{latest}
	for _, b := range o.Before {
		hidden := !again && slices.ContainsFunc(all, func(newer Before) bool { return newer.hides(b) })
		if !hidden && !(latest.repeats(b) && (latest.counts() || !b.counts())) {
			all = append(all, b)
		}
	}
	return all
}

// hides reports whether no node goes by an older one any more: each that was meant by that is
// by this one, which brings it as far, or withdraws what it has.
func (b Before) hides(older Before) bool {
	return b.counts() && selects(b.Select, older.Select) && (b.Kind == Rollback || b.Version >= max(older.Version, older.Newest))
}

func (b Before) repeats(older Before) bool {
	return b.Kind == older.Kind && b.Version == older.Version && maps.Equal(b.Select, older.Select)
}

// withdraws reports whether a rollback has taken this version away.
func (b Before) withdraws(version uint64) bool {
	return b.Kind == Rollback && b.counts() && b.Version < version && version <= b.Newest
}

// before returns the version of the latest of the orders before that counts for a node: 0 if
// none does.
func (o Order) before(node Node) uint64 {
	for _, b := range o.Before {
		if selects(b.Select, node.Labels) && (b.counts() || b.Version == node.Have) {
			return b.Version
		}
	}
	return 0
}

// Withdrawn reports whether a version was taken away, by a rollback, from a node of these
// labels, and was not ordered for it since.
func (o Order) Withdrawn(version uint64, labels map[string]string) bool {
	for _, b := range append([]Before{{o.Kind, o.Version, o.Newest, o.Select, true, o.Halted}}, o.Before...) {
		switch {
		case !selects(b.Select, labels):
		case b.Version == version:
			return false
		case b.withdraws(version):
			return true
		}
	}
	return false
}

// selects reports whether who has these labels is selected. With the labels of another
// selection: whether all that it selects is.
func selects(selected, labels map[string]string) bool {
	for name, value := range selected {
		if got, ok := labels[name]; !ok || got != value {
			return false
		}
	}
	return true
}
