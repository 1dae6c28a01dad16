//go:build linux && (amd64 || arm64)

package sweep

import (
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"hotswap/internal/testenv"
)

var (
	extent = flag.String("sweep", "short", "which points to run: short, a sample of them, or full")
	only   = flag.Int("point", 0, "the only point to run, 0 for all")
)

var kills = []fault{{kill: true}}

var moves = []fault{{move: true}}

var failures = []fault{
	{errno: unix.EIO}, {errno: unix.EIO, ever: true},
	{errno: unix.ENOSPC}, {errno: unix.ENOSPC, ever: true},
}

// TestKill: a process that is killed before any one system call of its push or
// pull leaves the whole old or the whole new database, and nothing in the way
// of the next push.
func TestKill(t *testing.T) {
	t.Parallel()
	sweepAll(t, slices.Concat(scenarios, adoptions, removals), kills, 0)
}

// TestError: when any one system call of a push or pull fails, the database is
// wholly the old or the new one, the program is told which, and goes on with it.
func TestError(t *testing.T) {
	t.Parallel()
	if *extent == "short" {
		sweepAll(t, scenarios, []fault{{errno: unix.EIO}}, 1)
		return
	}
	sweepAll(t, append(slices.Clone(scenarios), adoptions...), failures, 1)
}

// TestMove: a file that somebody puts in the live one's place, once it was proven
// that nobody has that open, is not overwritten, nor is it replaced.
func TestMove(t *testing.T) {
	t.Parallel()
	for i, s := range scenarios {
		if !strings.HasPrefix(s.name, "rename-") || s.missing {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			if *extent != "full" {
				testenv.Every(t, i, 2)
			}
			f := prepare(t, s)
			var points []int
			for i := f.proven(); i < len(f.record); i++ {
				if *extent == "full" || i%testenv.Sample(160, 80) == 0 || renames(f.record[i]) || i == len(f.record)-1 || i == len(f.record)-1-tail {
					points = append(points, i+1)
				}
			}
			found := f.sweep(points, moves)
			for _, w := range found.wrong {
				t.Error(w)
			}
			if found.ended[stateOld] == 0 || found.ended[stateNew] == 0 {
				t.Errorf("%v", found.ended)
			}
			t.Logf("%d of %d points behind the proof: %d pushes refused, %d made before", len(points), len(f.record)-f.proven(), found.ended[stateOld], found.ended[stateNew])
		})
	}
}

// proven is the place behind the lease.
func (f *fixture) proven() int {
	return 1 + slices.IndexFunc(f.record, func(c call) bool { return c.String() == "fcntl 1024 "+databaseFile })
}

// sweepAll sweeps the scenarios; in an ordinary run every third one, beginning with from.
func sweepAll(t *testing.T, scenarios []scenario, faults []fault, from int) {
	for i, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			if *extent == "short" && *only == 0 && i%testenv.Sample(3, 1) != from%testenv.Sample(3, 1) {
				testenv.Skip(t, "only with -sweep full, or with HOTSWAP_TEST_SAMPLES=many")
			}
			f := prepare(t, s)
			points := f.points(t)
			found := f.sweep(points, faults)
			for _, w := range found.wrong {
				t.Error(w)
			}
			t.Logf("%d of %d points, %d runs: %d ended with the old database, %d with the new one, %d before their points",
				len(points), len(f.record), found.runs, found.ended[stateOld], found.ended[stateNew], found.missed)
		})
	}
}

// points are those that the flags ask for. The sample has every call that
// gives a file a name, and some of the rest.
func (f *fixture) points(t *testing.T) (points []int) {
	t.Helper()
	if *extent != "short" && *extent != "full" {
		t.Fatalf("-sweep is short or full, not %q", *extent)
	}
	if *only > len(f.record) {
		t.Fatalf("-point %d: the operation has %d", *only, len(f.record))
	}
	const every = 320
	for i, c := range f.record {
		switch {
		case *only != 0 && i+1 != *only:
		case *only != 0, *extent == "full", i%every == 0, renames(c):
			points = append(points, i+1)
		}
	}
	return points
}

// changes are the points of calls that change a file, for short operations.
func (f *fixture) changes() (points []int) {
	for i, c := range f.record {
		if renames(c) || slices.Contains([]string{"write", "pwrite64", "ftruncate", "fsync", "unlink", "unlinkat"}, c.name) {
			points = append(points, i+1)
		}
	}
	return points
}

// renames reports whether a call gives a file a name.
func renames(c call) bool {
	return strings.HasPrefix(c.name, "rename") || strings.HasPrefix(c.name, "link")
}

// findings are what a sweep came to.
type findings struct {
	runs   int
	ended  map[state]int // of those that reached their points
	missed int           // that did not
	wrong  []string      // one line for each, in the order of the points
}

// sweep runs each fault at each point.
func (f *fixture) sweep(points []int, faults []fault) findings {
	var todo []fault
	for _, p := range points {
		for _, ft := range faults {
			ft.point = p
			if possible(ft, f.record[p-1]) {
				todo = append(todo, ft)
			}
		}
	}
	var (
		mu    sync.Mutex
		found = findings{runs: len(todo), ended: map[state]int{}}
		next  = make(chan fault)
		group sync.WaitGroup
		lines = map[int][]string{}
	)
	for range runtime.GOMAXPROCS(0) + 1 {
		group.Go(func() {
			for ft := range next {
				r := f.reach(ft)
				mu.Lock()
				if r.reached {
					found.ended[r.state]++
				} else {
					found.missed++
				}
				for _, w := range f.complaints(ft, r) {
					lines[ft.point] = append(lines[ft.point], fmt.Sprintf("point %d, %s at %s: %s", ft.point, ft, f.record[ft.point-1], w))
				}
				mu.Unlock()
			}
		})
	}
	for _, ft := range todo {
		next <- ft
	}
	close(next)
	group.Wait()
	for _, p := range points {
		slices.Sort(lines[p])
		found.wrong = append(found.wrong, lines[p]...)
	}
	return found
}

// possible leaves out what no file system does: an unlock that fails, which
// SQLite therefore does not expect, and locks that fail for ever on files that
// were locked a moment ago, for which it waits ten seconds at each; and a failure of the
// move that begins an adoption, which is somebody else's.
func possible(ft fault, c call) bool {
	switch c.name {
	case "renameat2":
		return c.paths[0] != movedFile || ft.kill
	case unlock:
		return ft.kill || ft.move
	case readLock, writeLock:
		return !ft.ever
	}
	return true
}

// complaints are what was wrong with one run.
func (f *fixture) complaints(ft fault, r runResult) []string {
	wrong := r.wrong
	if r.err != nil {
		wrong = append(wrong, fmt.Sprintf("the run failed: %v", r.err))
	}
	switch {
	case !r.reached && r.err == nil && ft.point <= len(f.record)-tail:
		wrong = append(wrong, fmt.Sprintf("none of %d runs came there: the last made only %d calls", attempts, len(r.calls)))
	case r.reached && ft.kill != r.killed:
		wrong = append(wrong, "it was not killed there")
	}
	return wrong
}
