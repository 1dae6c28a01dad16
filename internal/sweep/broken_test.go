//go:build linux && (amd64 || arm64)

package sweep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// sequence is a push by rename as one might write it: each of its steps but the
// first may be missing or wrong.
type sequence struct {
	watch     bool   // a connection that the driver doesn't know keeps the WAL in use
	stage     string // the stage's name, stageName if empty
	deaf      bool   // to a failed fsync
	before    func(path string) error
	replace   func(stage, path string) error // os.Rename if nil
	after     func(path string) error
	forgetful bool // a failure after the rename is told as if nothing had happened
}

// stageName is one that swapper.RemoveOrphans knows.
const stageName = ".live.sqlite3.hotswap-AAAAAAAAAAAA.stage"

func removeSidecars(path string) error {
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func writeOver(stage, path string) error {
	data, err := os.ReadFile(stage)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return err
	}
	return os.Remove(stage)
}

// careful is a sequence with nothing wrong, in so far as nobody else has the
// database open.
var careful = scenario{name: "careful", journal: "WAL", do: sequence{before: removeSidecars}.push}

// broken are sequences with one thing wrong, each with the faults that show it
// and words of what the sweep must say about it.
var broken = []struct {
	scenario
	by    []fault
	finds string
}{
	{scenario{name: "remove-then-rename", do: sequence{before: os.Remove}.push}, kills, "the path is absent"},
	{scenario{name: "write-over", do: sequence{replace: writeOver}.push}, kills, "what is at the path"},
	{scenario{name: "beside-the-old-WAL", watched: true, do: sequence{watch: true}.push}, kills, "what is at the path"},
	{scenario{name: "the-WAL-after", watched: true, do: sequence{watch: true, after: removeSidecars}.push}, kills, "what is at the path"},
	{scenario{name: "no-checkpoint", watched: true, do: sequence{watch: true, before: removeSidecars}.push}, kills, "of 8 acknowledged writes"},
	{scenario{name: "foreign-stage", do: sequence{stage: "live.sqlite3.tmp"}.push}, kills, "live.sqlite3.tmp is left"},
	{scenario{name: "deaf-to-fsync", do: sequence{deaf: true}.push}, failures, "says nothing of it"},
	{scenario{name: "no-look-at-what-came-out", do: sequence{before: removeSidecars}.push}, moves, "the file that was put there is not live"},
	{scenario{name: "forgetful", do: sequence{forgetful: true}.push}, failures, "it says swapped false, and the database is the new one"},
}

func (q sequence) push(v *victim) (r swapper.Report, err error) {
	defer func() {
		if err != nil {
			hint := "the live database is unchanged"
			if r.Swapped {
				hint = "the new database IS live"
			}
			err = &swapper.Error{Op: "push to", Path: v.path, Err: err, Hint: hint}
		}
	}()
	if q.watch {
		defer v.watcher.Close()
	}
	frozen, err := v.db.Freeze(context.Background(), driver.FreezeOptions{})
	if err != nil {
		return r, err
	}
	defer frozen.Thaw()
	for _, suffix := range []string{"-wal", "-shm"} {
		if _, err := os.Lstat(v.path + suffix); q.watch || errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			return r, err
		}
		return r, fmt.Errorf("%s%s is in use", v.path, suffix)
	}
	if q.stage == "" {
		q.stage = stageName
	}
	dir := filepath.Dir(v.path)
	stage := filepath.Join(dir, q.stage)
	if err := errors.Join(os.WriteFile(stage, v.image, 0o600), q.sync(stage)); err != nil {
		return r, errors.Join(fmt.Errorf("write the stage: %w", err), os.Remove(stage))
	}
	if q.before != nil {
		if err := q.before(v.path); err != nil {
			return r, err
		}
	}
	if q.replace == nil {
		q.replace = os.Rename
	}
	if err := q.replace(stage, v.path); err != nil {
		return r, errors.Join(err, os.Remove(stage))
	}
	r.Swapped = true
	frozen.Replaced()
	if q.after != nil {
		err = q.after(v.path)
	}
	if err = errors.Join(err, q.sync(dir)); err != nil && q.forgetful {
		r.Swapped = false
	}
	return r, err
}

func (q sequence) sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil && !q.deaf {
		return err
	}
	return nil
}

func TestTheSweepFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for i, b := range broken {
		t.Run(b.name, func(t *testing.T) {
			testenv.Every(t, i, 3)
			f := prepare(t, scenarioOf(b.name))
			var others []string
			// It shows where a file gets its name, or else a little later.
			changes := slices.SortedStableFunc(slices.Values(f.changes()), func(a, b int) int {
				return cmp.Compare(f.rank(a), f.rank(b))
			})
			faults := b.by
			if *extent == "short" {
				faults = faults[:min(len(faults), testenv.Sample(1, 4))]
			}
			for some := range slices.Chunk(changes, 4) {
				for _, w := range f.sweep(some, faults).wrong {
					if strings.Contains(w, b.finds) {
						t.Log(w)
						return
					}
					others = append(others, w)
				}
			}
			t.Errorf("it did not find %q, only %d other things: %q", b.finds, len(others), others[:min(3, len(others))])
		})
	}
}

// rank orders the calls by how soon one that is wrong shows.
func (f *fixture) rank(point int) int {
	if renames(f.record[point-1]) {
		return 0
	}
	if last := slices.IndexFunc(f.record, renames); point-1 > last {
		return 1
	}
	return 2
}

// TestTheSweepFindsNothingWrongWhereNothingIs: else the one above proves nothing.
func TestTheSweepFindsNothingWrongWhereNothingIs(t *testing.T) {
	t.Parallel()
	f := prepare(t, careful)
	errors := failures
	if *extent == "short" {
		errors = failures[:1]
	}
	points := f.changes()
	if n := testenv.Sample(2, 1); *extent == "short" && n > 1 {
		last := points[len(points)-1] // behind the rename
		points = slices.DeleteFunc(points, func(p int) bool { return p%n > 0 && p != last && !renames(f.record[p-1]) })
	}
	for _, faults := range [][]fault{kills, errors} {
		found := f.sweep(points, faults)
		for _, w := range found.wrong {
			t.Error(w)
		}
		if found.ended[stateOld] == 0 || found.ended[stateNew] == 0 {
			t.Errorf("%d runs ended with the old database, %d with the new one", found.ended[stateOld], found.ended[stateNew])
		}
	}
}

// TestARunThatEndsBeforeItsPointIsNotJudgedAsIfTheFaultHadHappened: nor is it a
// finding, if only some of the last calls did not come.
func TestARunThatEndsBeforeItsPointIsNotJudgedAsIfTheFaultHadHappened(t *testing.T) {
	t.Parallel()
	made := prepare(t, careful)
	last := made.record[len(made.record)-1]
	for _, more := range []int{1, 2 * tail} {
		f := *made
		f.record = append(slices.Clone(made.record), slices.Repeat([]call{last}, more)...)
		point := len(made.record) + 1
		for _, faults := range [][]fault{kills, moves, failures[:1]} {
			found := f.sweep([]int{point}, faults)
			if found.missed != 1 || len(found.ended) > 0 {
				t.Errorf("%s at a call that never comes: %+v", faults[0], found)
			}
			want := 0
			if more > tail {
				want = 1
			}
			if len(found.wrong) != want || want > 0 && !strings.Contains(found.wrong[0], "came there") {
				t.Errorf("%s at the first of the last %d calls: %q", faults[0], more, found.wrong)
			}
		}
	}
}

// TestACallThatWasFaultedDidNotHappen: the supervisor's own promise.
func TestACallThatWasFaultedDidNotHappen(t *testing.T) {
	f := prepare(t, careful)
	for i, c := range f.record {
		if !renames(c) {
			continue
		}
		for _, ft := range append(kills, failures[0]) {
			ft.point = i + 1
			if r := f.reach(ft); !r.reached || r.state != stateOld || r.err != nil || r.killed != ft.kill {
				t.Errorf("%s at %s: the %s database, killed %t, %v", ft, c, r.state, r.killed, r.err)
			}
		}
	}
}
