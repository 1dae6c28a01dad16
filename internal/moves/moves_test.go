package moves

import (
	"flag"
	"math/rand/v2"
	"regexp"
	"testing"
)

var (
	moves = flag.Int("moves", 30, "how many things to do to a live path from outside")
	seed  = flag.Uint64("seed", 0, "the plan's; 0 is one of chance")

	only        = flag.String("only", "", "regular expression: which moves to do")
	onlyPush    = flag.String("only-push", "", "regular expression: which pushes and pulls, as \"push rename\"")
	onlyCaller  = flag.String("only-caller", "", "regular expression: which of the program's callers, as \"w1\"")
	onlyJournal = flag.String("only-journal", "", "WAL or DELETE")
)

// TestMoves does things of all sorts to the path of a live database from outside,
// and holds what the program was told against the files that were there.
func TestMoves(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	onlyMoves, onlyPushes, onlyCallers = regexp.MustCompile(*only), regexp.MustCompile(*onlyPush), regexp.MustCompile(*onlyCaller)
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
