//go:build linux && amd64

package powerloss

import (
	"iter"
	"math/rand/v2"
)

// order is what a power loss may do to the changes of a directory.
type order string

const (
	inOrder   order = "in order"   // one that is kept has all before it kept
	anyChoice order = "any choice" // each is kept or lost by itself
)

// fates yields what may become of the changes. Of a few, that is every choice
// of those that are kept. Of more: each lost alone, each of an entry with one of a
// file, each and all behind it lost, and random choices; with -every also each hollow instead, each kept
// alone, each and all behind it kept, and more of chance. What is yielded is
// used again.
func fates(pending []change, o order, random *rand.Rand) iter.Seq[[]fate] {
	few, choices := 7, 4
	if *every {
		few, choices = 8, 32
	}
	only := func(n int) func(int) bool { return func(i int) bool { return i == n } }
	from := func(n int) func(int) bool { return func(i int) bool { return i >= n } }
	not := func(f func(int) bool) func(int) bool { return func(i int) bool { return !f(i) } }
	return func(yield func([]fate) bool) {
		all := make([]fate, len(pending))
		those := func(hit func(i int) bool, as fate) bool {
			return yield(o.settle(pending, all, func(i int) fate {
				if hit(i) {
					return as
				}
				return kept
			}))
		}
		if len(pending) <= few {
			for choice := range 1 << len(pending) {
				if !those(func(i int) bool { return choice>>i&1 == 1 }, lost) {
					return
				}
			}
		} else {
			for e := range pending {
				for f := range pending {
					if pending[e].file == nil && pending[f].file != nil && !those(func(i int) bool { return i == e || i == f }, lost) {
						return
					}
				}
			}
		}
		for n := range len(pending) + 1 { // the last hits none
			if !those(only(n), lost) || !those(from(n), lost) {
				return
			}
			if *every && (!those(only(n), hollow) || !those(from(n), hollow) || !those(not(only(n)), lost) || !those(not(from(n)), lost)) {
				return
			}
		}
		for range choices {
			losses, hollows := random.Float64(), random.Float64()/2
			if !yield(o.settle(pending, all, func(int) fate {
				switch {
				case random.Float64() >= losses:
					return kept
				case random.Float64() < hollows:
					return hollow
				}
				return lost
			})) {
				return
			}
		}
	}
}

// settle fills all with the chosen fates, as far as the changes can have them.
func (o order) settle(pending []change, all []fate, choose func(i int) fate) []fate {
	cut := false
	for i, c := range pending {
		all[i] = choose(i)
		switch {
		case c.file == nil:
			if all[i] == hollow || cut && o == inOrder {
				all[i] = lost
			}
			cut = cut || all[i] == lost
		case c.data == nil && all[i] == hollow:
			all[i] = kept
		}
	}
	return all
}
