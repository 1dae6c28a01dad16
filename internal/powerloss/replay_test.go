//go:build linux && amd64

package powerloss

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/testenv"
)

// recording is what a victim did in its directory.
type recording struct {
	scenario scenario
	dir      string // as the victim left it
	before   *disk
	events   []event
}

func record(t testing.TB, s scenario) recording {
	t.Helper()
	dir := t.TempDir()
	if err := s.prepare(dir); err != nil {
		t.Fatal(err)
	}
	before, err := newDisk(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := recording{scenario: s, dir: dir, before: before}
	err = s.trace(dir, source(t), func(event) action { return proceed }, func(e event) { r.events = append(r.events, e) })
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
		testenv.Skip(t, "no ptrace here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// replay makes the events happen one after the other, and judges the states that
// a power loss may leave behind each of them from the push on.
func (r recording) replay(t *testing.T, l *looker, o order) *tally {
	t.Helper()
	d := r.before.clone()
	random := rand.New(rand.NewPCG(1, 2))
	y := newTally()
	var p progress
	pushing := false
	start := time.Now()
	for i, e := range r.events {
		if e.op == opMark {
			p.mark(e.name)
			pushing = pushing || e.name == markPush
		} else if err := d.apply(e); err != nil {
			t.Fatal(err)
		}
		if !pushing {
			continue
		}
		y.calls++
		for f := range fates(d.pending, o, random) {
			v := l.look(t, r.scenario, p, d.crash(f))
			y.add(v, fmt.Sprintf("behind call %d, %s, the changes %v", i, e, f))
		}
	}
	t.Logf("%s, directory changes %s: behind %d calls %d states, %d of them different: %s (%.1f s)",
		r.scenario.name, o, y.calls, y.states, len(y.seen), y, time.Since(start).Seconds())
	return y
}

// looker judges states, of those that are alike one.
type looker struct {
	contents contents
	dir      string // to lay them out in
	known    map[[sha256.Size]byte]*verdict
}

func newLooker(t testing.TB) *looker {
	t.Helper()
	return &looker{expected(t), t.TempDir(), map[[sha256.Size]byte]*verdict{}}
}

func (l *looker) look(t testing.TB, s scenario, p progress, left map[string][]byte) *verdict {
	t.Helper()
	// Stages and the like are of no consequence.
	maps.DeleteFunc(left, func(name string, _ []byte) bool { return !strings.HasPrefix(name, liveName) })
	h := sha256.New()
	fmt.Fprintln(h, s.name, p)
	for _, name := range slices.Sorted(maps.Keys(left)) {
		fmt.Fprintln(h, name, len(left[name]))
		h.Write(left[name])
	}
	key := [sha256.Size]byte(h.Sum(nil))
	if v := l.known[key]; v != nil {
		return v
	}
	there, err := os.ReadDir(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range there {
		if err := os.Remove(filepath.Join(l.dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range left {
		if err := os.WriteFile(filepath.Join(l.dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v := l.contents.judge(l.dir, s, p)
	l.known[key] = v
	return v
}

func TestNoStateThatAPowerLossMayLeaveIsAMixture(t *testing.T) {
	for _, s := range theirTurn() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			r, l := record(t, s), newLooker(t)
			for _, o := range []order{inOrder, anyChoice} {
				y := r.replay(t, l, o)
				if len(y.bad) > 0 {
					t.Errorf("%d bad states, directory changes %s:\n%s", len(y.bad), o, y.firstBad())
				}
				if y.left[leftOld] == 0 || y.left[leftNew] == 0 {
					t.Errorf("never both the old and the new one: %s", y)
				}
			}
		})
	}
}

// TestTheModelKnowsEveryByteThatTheProcessLeft: with every change kept the model
// must be the directory.
func TestTheModelKnowsEveryByteThatTheProcessLeft(t *testing.T) {
	for _, s := range theirTurn() {
		t.Run(s.name, func(t *testing.T) {
			r := record(t, s)
			d := r.before.clone()
			for _, e := range r.events {
				if e.op != opMark {
					if err := d.apply(e); err != nil {
						t.Fatal(err)
					}
				}
			}
			left := d.crash(make([]fate, len(d.pending)))
			there, err := os.ReadDir(r.dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range there {
				if strings.HasSuffix(e.Name(), "-shm") {
					continue
				}
				data, err := os.ReadFile(filepath.Join(r.dir, e.Name()))
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(data, left[e.Name()]) {
					t.Errorf("%s differs from the model's", e.Name())
				}
				delete(left, e.Name())
			}
			for name := range left {
				t.Errorf("the model has %s left", name)
			}
		})
	}
}
