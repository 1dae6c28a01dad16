package testapp

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// The main promise: callers of every sort carry on while the file is replaced
// under them again and again, no call fails, no read is mixed, and each
// acknowledged write is in the file that was live when it was acknowledged.
func TestPushesUnderLoadLoseNothing(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, mode := range []string{"wal", "delete"} {
		t.Run(mode, func(t *testing.T) {
			f := Fixture{Size: int64(testenv.Sample(1, 4)) << 20, JournalMode: mode}
			r := startRun(t, f, Config{JournalMode: mode})
			// Writers that never pause would keep each other from the lock for
			// seconds, without WAL, on any SQLite.
			r.load(LoadConfig{Readers: 4, Writers: 3, Think: time.Duration(testenv.Sample(12, 5)) * time.Millisecond})
			// Between the moment when calls flow again and the return of Push, all
			// that OnSwap says must hold: let there be calls then.
			r.svc.Database().OnSwap(func(driver.Swap) {
				if err := r.svc.Meter().Await(t.Context(), 1, CallStatement, CallCached, CallInsert, CallPinned); err != nil {
					t.Error(err)
				}
			})
			n := testenv.Sample(8, 20)
			for range n {
				// Every sort of call in every generation.
				r.awaitCalls(1)
				r.mustPush(f, r.options())
			}
			r.awaitCalls(1)
			r.stopLoads()
			if got := r.svc.Database().Generation(); got != uint64(n)+1 {
				t.Errorf("after %d pushes the generation is %d", n, got)
			}
			v := r.finish()
			t.Logf("%d files, %d writes, %d reads, longest call %v",
				v.Files, v.Writes, v.Reads, r.svc.Meter().Total().Longest)
			if v.Files != n+1 || v.Unacked != 0 {
				t.Errorf("checked %+v", v)
			}
			if !t.Failed() {
				wantBreakageSeen(t, r)
			}
		})
	}
}

// wantBreakageSeen breaks a copy of the files that passed, in four places, and
// demands that the check names each.
func wantBreakageSeen(t *testing.T, r *run) {
	t.Helper()
	files := r.trail.Files()
	dir := t.TempDir()
	for i := range files {
		copied := filepath.Join(dir, filepath.Base(files[i].Path))
		if err := copyFile(files[i].Path, copied); err != nil {
			t.Fatal(err)
		}
		files[i].Path = copied
	}
	sure := func(kind Kind, generation uint64) ID {
		for _, w := range r.history.Writes() {
			if w.Kind == kind && w.Acked && w.Span.First == generation && w.Span.Last == generation {
				return w.ID
			}
		}
		t.Fatalf("no %s in generation %d", kind, generation)
		return ID{}
	}
	lost, doubled, half := sure(Single, 3), sure(Single, 5), sure(Pair, 7)
	mustExec(t, files[2].Path, `DELETE FROM testapp_write WHERE writer = ? AND seq = ?`, lost.Writer, lost.Seq)
	mustExec(t, files[5].Path, insertWrite, doubled.Writer, doubled.Seq, 1, 1)
	mustExec(t, files[6].Path, `DELETE FROM testapp_write WHERE writer = ? AND seq = ? AND part = 2`, half.Writer, half.Seq)
	mustExec(t, files[8].Path, `UPDATE testapp_generation SET generation = 8 WHERE id = 33`)
	v, err := Check(t.Context(), files, r.history)
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Problems) != 4 {
		t.Errorf("four things are broken, and the check says %v", v.Err())
	}
	for fault, want := range map[Fault]string{
		Lost:    lost.String() + " ",
		Doubled: doubled.String() + " ",
		Half:    half.String() + " ",
		Mixed:   "the file of generation 9 has 1 rows of generation 8",
	} {
		found := false
		for _, p := range v.Problems {
			found = found || p.Fault == fault && strings.Contains(p.Text, want)
		}
		if !found {
			t.Errorf("no %q that names %q in: %v", fault, want, v.Err())
		}
	}
}

func TestPulledChangedAndPushedBackKeepsTheWritesOfThePull(t *testing.T) {
	if !alone(t) {
		return
	}
	r := startRun(t, Fixture{Size: 1 << 20, JournalMode: "wal"}, Config{})
	r.load(LoadConfig{Readers: 2, Writers: 2})
	for g := uint64(2); g <= 4; g++ {
		r.awaitCalls(2)
		pulled := r.pull()
		base := filepath.Join(r.scratch, "base-"+pulledName(g))
		if err := Restamp(t.Context(), pulled, base, g); err != nil {
			t.Fatal(err)
		}
		if _, err := r.push(base, base, r.options()); err != nil {
			t.Fatal(err)
		}
	}
	r.stopLoads()
	r.finish()
	last := r.trail.Files()[3]
	c, err := readContents(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.base) == 0 || len(c.rows) < len(c.base) {
		t.Errorf("the last file has %d writes, of which %d came with the pull", len(c.rows), len(c.base))
	}
}

// Every bad file is refused while the load goes on, and nothing changes.
func TestBadFilesAreRefusedUnderLoad(t *testing.T) {
	if !alone(t) {
		return
	}
	f := Fixture{Size: 1 << 20, JournalMode: "wal"}
	r := startRun(t, f, Config{})
	r.load(LoadConfig{Readers: 2, Writers: 2})
	good := r.fixture(f, 2)
	for _, d := range Damages() {
		r.awaitCalls(1)
		bad := filepath.Join(r.scratch, "bad.db")
		if err := Spoil(t.Context(), good, bad, d); err != nil {
			t.Fatal(err)
		}
		report, err := r.push(bad, "", r.options())
		wantBadDatabase(t, string(d), report, err)
		r.wantDirectory("-wal", "-shm")
		if err := os.Remove(bad); err != nil {
			t.Fatal(err)
		}
	}
	r.mustPush(f, r.options())
	r.stopLoads()
	if got := r.svc.Database().Generation(); got != 2 {
		t.Errorf("after one good push the generation is %d", got)
	}
	r.finish()
}
