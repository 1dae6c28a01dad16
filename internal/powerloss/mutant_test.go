//go:build linux && amd64

package powerloss

import (
	"math"
	"slices"
	"strings"
	"testing"

	"hotswap/internal/testenv"
)

// mutant is a push with a step of the replacement left out.
type mutant struct {
	name string
	// omits reports whether the call is not made. renamed is whether the stage
	// has become the live database by then.
	omits func(e event, renamed bool) bool
	// What of the model finds that it is not safe, and which real file systems.
	orders []order
	real   []string
}

var mutants = []mutant{
	{
		// In a log that keeps the directory's changes in their order a rename has
		// the removals before it kept: this one is safe on ext4 and XFS.
		name:   "no sync of the directory before the rename",
		omits:  func(e event, renamed bool) bool { return e.op == opSync && e.name == "." && !renamed },
		orders: []order{anyChoice},
	},
	{
		name:   "no sync of the directory behind the rename",
		omits:  func(e event, renamed bool) bool { return e.op == opSync && e.name == "." && renamed },
		orders: []order{inOrder, anyChoice},
		real:   []string{"ext4", "xfs"},
	},
	{
		// XFS writes a file's data when ftruncate(2) makes it longer, and so hides
		// this one.
		name:   "no sync of the stage",
		omits:  func(e event, renamed bool) bool { return e.op == opSync && e.isStage() },
		orders: []order{inOrder, anyChoice},
		real:   []string{"ext4"},
	},
	{
		// What the other order would do behind the rename is left out. On ext4 and
		// XFS the WAL that stays is empty: that it was cut by the checkpoint is in
		// the log before the rename. The model keeps no order between the two.
		name: "the rename before the removal of the WAL",
		omits: func(e event, renamed bool) bool {
			return e.op == opUnlink && e.name == liveName+"-wal" && !renamed
		},
		orders: []order{inOrder, anyChoice},
	},
}

// isRename reports whether the event is the step that makes a stage live.
func (e event) isRename() bool { return (e.op == opExchange || e.op == opRename) && e.to == liveName }

// without returns the recording with what the mutant omits left out.
func (r recording) without(m mutant) recording {
	pushing, renamed := false, false
	r.events = slices.DeleteFunc(slices.Clone(r.events), func(e event) bool {
		pushing = pushing || e.op == opMark && e.name == markPush
		renamed = renamed || e.isRename()
		return pushing && m.omits(e, renamed)
	})
	return r
}

func TestTheModelFindsWhatALeftOutStepMayDo(t *testing.T) {
	r, l := record(t, scenarios[0]), newLooker(t)
	for i, m := range mutants {
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			testenv.Every(t, i, 2)
			without := r.without(m)
			if len(without.events) == len(r.events) {
				t.Fatal("nothing was left out")
			}
			for _, o := range []order{inOrder, anyChoice} {
				y := without.replay(t, l, o, 1, testenv.Sample(1, math.MaxInt))
				if got, want := len(y.bad) > 0, slices.Contains(m.orders, o); got != want {
					t.Errorf("directory changes %s: bad states found: %t, want %t", o, got, want)
				}
				if len(y.bad) > 0 {
					t.Logf("one of %d bad states: %s", len(y.bad), y.bad[0])
				}
			}
		})
	}
}

func TestARealFileSystemShowsWhatALeftOutStepDoes(t *testing.T) {
	if !*every {
		t.Skip("only with -every: what is bad may be seen before a few calls alone")
	}
	for _, fs := range fileSystems {
		t.Run(fs.name, func(t *testing.T) {
			t.Parallel()
			if !again(t) {
				return
			}
			w := newSweeper(t, fs, scenarios[0])
			for _, m := range mutants {
				w.omits = m.omits
				t.Log(m.name)
				y := w.sweep(t, logLost)
				if len(y.bad) > 0 {
					t.Logf("one of %d bad states: %s", len(y.bad), y.bad[0])
				} else if slices.Contains(m.real, fs.name) { // another kernel may show the others, too
					t.Error("no bad state found")
				}
			}
		})
	}
}
