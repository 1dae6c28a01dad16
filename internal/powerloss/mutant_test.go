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
	name     string
	scenario string // "" for the first
	// omits reports whether the call, which is made at that place, is not.
	omits func(e event, at place) bool
	// What of the model finds that it is not safe, and which real file systems.
	orders []order
	real   []string
}

var mutants = []mutant{
	{
		// In a log that keeps the directory's changes in their order a rename has the
		// removals before it kept: this one and the next two are safe on ext4 and XFS.
		name: "no sync of the emptied WAL",
		omits: func(e event, at place) bool {
			return e.op == opSync && e.name == liveName+"-wal" && at.emptied
		},
		orders: []order{anyChoice},
	},
	{
		name: "no truncation of the WAL",
		omits: func(e event, at place) bool {
			return e.op == opTruncate && e.name == liveName+"-wal" && !at.renamed
		},
		orders: []order{anyChoice},
	},
	{
		name:     "no sync of the directory behind the removal of a WAL that was read",
		scenario: "read,WAL",
		omits:    func(e event, at place) bool { return e.op == opSync && e.name == "." && at.sealed && !at.renamed },
		orders:   []order{anyChoice},
	},
	{
		// SQLite itself does not, but with synchronous=EXTRA.
		name:     "no sync of the directory behind the removal of the journal",
		scenario: "DELETE,FULL",
		omits:    func(e event, at place) bool { return e.op == opSync && e.name == "." && at.sealed && !at.renamed },
		orders:   []order{anyChoice},
	},
	{
		name:     "no sync of the directory before the rename",
		scenario: "fast,WAL",
		omits:    func(e event, at place) bool { return e.op == opSync && e.name == "." && !at.renamed },
		orders:   []order{anyChoice},
	},
	{
		// What the other order would do behind the rename is left out. On ext4 and
		// XFS the WAL that stays is empty: that it was cut by the checkpoint is in
		// the log before the rename. The model keeps no order between the two.
		name:     "the rename before the removal of the WAL",
		scenario: "fast,WAL",
		omits: func(e event, at place) bool {
			return e.op == opUnlink && e.name == liveName+"-wal" && !at.renamed
		},
		orders: []order{inOrder, anyChoice},
	},
	{
		name:   "no sync of the directory behind the rename",
		omits:  func(e event, at place) bool { return e.op == opSync && e.name == "." && at.renamed },
		orders: []order{inOrder, anyChoice},
		real:   []string{"ext4", "xfs"},
	},
	{
		// XFS writes a file's data when ftruncate(2) makes it longer, and so hides
		// this one.
		name:   "no sync of the stage",
		omits:  func(e event, at place) bool { return e.op == opSync && e.isStage() },
		orders: []order{inOrder, anyChoice},
		real:   []string{"ext4"},
	},
}

func (m mutant) of() scenario {
	i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == m.scenario })
	return scenarios[max(i, 0)]
}

// place is how far a push has come.
type place struct {
	pushing bool
	sealed  bool // the stage has the name that the old file gets
	emptied bool // the WAL is, and the stage not live yet
	renamed bool // the stage is live
}

func (p *place) pass(e event) {
	p.pushing = p.pushing || e.op == opMark && e.name == markPush
	p.sealed = p.sealed || p.pushing && e.op == opRename && e.isStage()
	p.renamed = p.renamed || e.isRename()
	p.emptied = !p.renamed && (p.emptied || p.sealed && e.op == opTruncate && e.name == liveName+"-wal")
}

// isRename reports whether the event is the step that makes a stage live.
func (e event) isRename() bool { return (e.op == opExchange || e.op == opRename) && e.to == liveName }

// record returns a push that took the way on which the step stands: one that is read
// from may find the reader gone by the time it looks, and empties the WAL, durably, and
// then nothing hangs on the removal.
func (m mutant) record(t *testing.T) recording {
	t.Helper()
	for range 20 {
		if r := record(t, m.of()); !r.scenario.reads || !r.emptiedDurably() {
			return r
		}
	}
	t.Fatal("each time the WAL was emptied, whoever read from it")
	return recording{}
}

// emptiedDurably reports whether the WAL was synced once it was empty.
func (r recording) emptiedDurably() bool {
	var at place
	return slices.ContainsFunc(r.events, func(e event) bool {
		at.pass(e)
		return at.emptied && e.op == opSync && e.name == liveName+"-wal"
	})
}

// without returns the recording with what the mutant omits left out.
func (r recording) without(m mutant) recording {
	var at place
	r.events = slices.DeleteFunc(slices.Clone(r.events), func(e event) bool {
		at.pass(e)
		return at.pushing && m.omits(e, at)
	})
	return r
}

func TestTheModelFindsWhatALeftOutStepMayDo(t *testing.T) {
	t.Parallel()
	l, records := newLooker(t), map[string]recording{}
	for i, m := range mutants {
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			testenv.Every(t, i, 5)
			r, ok := records[m.scenario]
			if !ok {
				r = m.record(t)
				records[m.scenario] = r
			}
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
			for _, m := range mutants {
				w := newSweeper(t, fs, m.of())
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
