package moves

import (
	"flag"
	"math/rand/v2"
	"regexp"
	"testing"
)

var (
	moves = flag.Int("moves", 30, "how many things to do to a live path from outside")
	only  = flag.String("only", "", "a regular expression that the moves must match")
	seed  = flag.Uint64("seed", 0, "the plan's; 0 is one of chance")
)

// TestMoves does things of all sorts to the path of a live database from outside,
// and holds what the program was told against the files that were there.
func TestMoves(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	onlyMoves = regexp.MustCompile(*only)
	t.Logf("-seed %d", *seed)
	for _, p := range plan(*seed, *moves) {
		t.Run(p.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, p)
			h := w.run()
			v := check(h)
			w.tell(h)
			if len(v.problems) > 0 {
				t.Errorf("\n%s", v.String())
			}
		})
	}
}

// tell logs what the world was.
func (w *world) tell(h history) {
	acked, failed := 0, map[string]int{}
	for _, e := range h.Events {
		if e.Seq != 0 && e.Fail == "" {
			acked++
		}
		if e.Fail != "" {
			failed[e.Call+" "+e.Fail]++
		}
	}
	outcomes := map[string]int{}
	for _, p := range h.Pushes {
		outcomes[p.Outcome]++
	}
	w.t.Logf("%d moves, %d calls, %d acknowledged writes, pushes %v, files %d, failed calls that are excused: %v",
		len(w.plan.steps), len(h.Events), acked, outcomes, len(h.Files)+len(h.Broken), failed)
	for _, s := range w.plan.steps {
		w.t.Logf("  %s", s.move)
	}
}
