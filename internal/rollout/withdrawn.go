package rollout

import (
	"maps"
	"slices"
)

// Withdrawn are ranges of versions, in no order.
type Withdrawn []Range

// Range is the versions from First to Last, both included, for the nodes that have the labels
// of Select: those to which the rollback was.
type Range struct {
	First  uint64            `json:"first"`
	Last   uint64            `json:"last"`
	Select map[string]string `json:"select,omitempty"`
}

// Has reports whether a version is withdrawn for a node of these labels.
func (w Withdrawn) Has(version uint64, labels map[string]string) bool {
	return slices.ContainsFunc(w, func(r Range) bool { return r.has(version, labels) })
}

func (r Range) has(version uint64, labels map[string]string) bool {
	return r.First <= version && version <= r.Last && selects(r.Select, labels)
}

// before is the version that a rollback has gone back to.
func (r Range) before() uint64 { return r.First - 1 }

func (w Withdrawn) newest() (last uint64) {
	for _, r := range w {
		last = max(last, r.Last)
	}
	return last
}

// with adds the versions from first to last, for the selected nodes. Ranges that lie within
// are dropped, so that going back and forth does not grow the list.
func (w Withdrawn) with(first, last uint64, selected map[string]string) (grown Withdrawn) {
	for _, r := range w {
		if r.First < first || r.Last > last || !selects(selected, r.Select) {
			grown = append(grown, r)
		}
	}
	return append(grown, Range{first, last, maps.Clone(selected)})
}

// without takes one version out that the selected nodes are to have now; it stays withdrawn
// for nodes of other labels.
func (w Withdrawn) without(version uint64, selected map[string]string) (rest Withdrawn) {
	for _, r := range w {
		if version < r.First || version > r.Last || disjoint(selected, r.Select) {
			rest = append(rest, r)
			continue
		}
		if r.First < version {
			rest = append(rest, Range{r.First, version - 1, r.Select})
		}
		if version < r.Last {
			rest = append(rest, Range{version + 1, r.Last, r.Select})
		}
	}
	return rest
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

// disjoint reports whether no node can be selected by both.
func disjoint(a, b map[string]string) bool {
	for name, value := range a {
		if other, ok := b[name]; ok && other != value {
			return true
		}
	}
	return false
}
