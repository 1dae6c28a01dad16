package moves

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	moves = flag.Int("moves", 30, "how many things to do to a live path from outside")
	seed  = flag.Uint64("seed", 1, "the plan's; 0 is one of chance")
	dump  = flag.Bool("dump", false, "end the program with its stacks when it is stuck")

	only        = flag.String("only", "", "regular expression: which moves to do")
	onlyPush    = flag.String("only-push", "", "regular expression: which pushes and pulls, as \"push rename\"")
	onlyCaller  = flag.String("only-caller", "", "regular expression: which of the program's callers, as \"w1\"")
	onlyJournal = flag.String("only-journal", "", "WAL or DELETE")
)

// TestMoves does things of all sorts to the path of a live database from outside,
// and holds what the program was told against the files that were there.
func TestMoves(t *testing.T) {
	t.Parallel()
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
				t.Errorf("\n%s\nwhat happened, in milliseconds:\n%s", v.String(), h.story())
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
}

// story tells what was done to the path, and when which version was seen first.
func (h *history) story() string {
	type line struct {
		at   int64
		text string
	}
	var lines []line
	for _, p := range h.Puts {
		lines = append(lines, line{p.From, fmt.Sprintf("%s: %s %s (%.1f ms)", p.Text, p.State, p.Stamp, float64(p.Until-p.From)/1e6)})
	}
	for _, p := range h.Pushes {
		lines = append(lines, line{p.Start, fmt.Sprintf("push of %s until %d: %s, in place %v, generation %d, replaced %q: %.200s",
			p.Stamp, (p.End-h.Began)/1e6, p.Outcome, p.InPlace, p.Generation, p.Backup, p.Text)})
	}
	seen := map[string]bool{}
	for _, e := range h.Events {
		key := fmt.Sprintf("%s %s %d", e.Call, e.High, e.Last)
		if e.Fail == "" && !seen[key] {
			lines = append(lines, line{e.Start, fmt.Sprintf("    until %d: %s saw %s", (e.End-h.Began)/1e6, e, e.High)})
		}
		seen[key] = true
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%6d %s\n", (l.at-h.Began)/1e6, l.text)
	}
	return b.String()
}
