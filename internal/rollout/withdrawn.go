package rollout

// Withdrawn are ranges of versions, in no order.
type Withdrawn []Range

// Range is the versions from First to Last, both included.
type Range struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
}

// Has reports whether a version is withdrawn.
func (w Withdrawn) Has(version uint64) bool {
	for _, r := range w {
		if r.First <= version && version <= r.Last {
			return true
		}
	}
	return false
}

func (w Withdrawn) newest() (last uint64) {
	for _, r := range w {
		last = max(last, r.Last)
	}
	return last
}

// with adds the versions from first to last. Ranges that lie within are dropped, so that
// going back and forth does not grow the list.
func (w Withdrawn) with(first, last uint64) (grown Withdrawn) {
	for _, r := range w {
		if r.First < first || r.Last > last {
			grown = append(grown, r)
		}
	}
	return append(grown, Range{first, last})
}

// without takes one version out.
func (w Withdrawn) without(version uint64) (rest Withdrawn) {
	for _, r := range w {
		if version < r.First || version > r.Last {
			rest = append(rest, r)
			continue
		}
		if r.First < version {
			rest = append(rest, Range{r.First, version - 1})
		}
		if version < r.Last {
			rest = append(rest, Range{version + 1, r.Last})
		}
	}
	return rest
}
