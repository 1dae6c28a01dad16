package moves

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// fault is a sort of problem.
type fault string

const (
	faultCrash     fault = "crash"     // the program died
	faultMixed     fault = "mixed"     // two versions in one read, or in one file
	faultCorrupt   fault = "corrupt"   // a file that SQLite's check finds damaged
	faultLost      fault = "lost"      // acknowledged, and not in the file that was live
	faultDoubled   fault = "doubled"   // in two versions' files, or twice in one
	faultUnknown   fault = "unknown"   // in a file, and nobody wrote it
	faultHidden    fault = "hidden"    // a whole file's items are not to be seen
	faultVanished  fault = "vanished"  // a whole file that was at the path, and is no more
	faultConjured  fault = "conjured"  // a file that nobody put there, without items
	faultTouched   fault = "touched"   // something wrote into a file that is not whole
	faultStale     fault = "stale"     // a read of a version that was no longer served
	faultUnnoted   fault = "unnoted"   // another file under the old generation's number
	faultUntold    fault = "untold"    // OnSwap did not run for a generation
	faultSwallowed fault = "swallowed" // a push that succeeded over a file that was not served yet
	faultGhost     fault = "ghost"     // a refused push's content was seen
	faultFailed    fault = "failed"    // a call that failed, and that nothing excuses
	faultStuck     fault = "stuck"     // the whole file at the path was not served for long
)

type problem struct {
	fault fault
	text  string
}

func (p problem) String() string { return string(p.fault) + ": " + p.text }

// verdict is what the checker found.
type verdict struct{ problems []problem }

func (v *verdict) add(f fault, format string, args ...any) {
	v.problems = append(v.problems, problem{f, fmt.Sprintf(format, args...)})
}

// count says how many problems there are of each sort.
func (v *verdict) count() map[fault]int {
	n := map[fault]int{}
	for _, p := range v.problems {
		n[p.fault]++
	}
	return n
}

// String names each sort, and the first few problems of it.
func (v *verdict) String() string {
	counts := v.count()
	var b strings.Builder
	for _, f := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&b, "%s: %d\n", f, counts[f])
		shown := 0
		for _, p := range v.problems {
			if p.fault == f && shown < 4 {
				shown++
				fmt.Fprintf(&b, "    %s\n", p.text)
			}
		}
	}
	return b.String()
}
