//go:build linux && amd64

package powerloss

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
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

// chance says which calls an ordinary run looks behind.
var chance = rand.IntN(100)

// replay makes the events happen one after the other, and judges the states that
// a power loss may leave behind each of them from the push on, or behind one of so
// many. It ends early once enough are bad.
func (r recording) replay(t *testing.T, l *looker, o order, oneOf, enough int) *tally {
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
		if (i+chance)%oneOf != 0 && !e.isRename() {
			continue
		}
		y.calls++
		for f := range fates(d.pending, o, random) {
			v := l.look(t, r.scenario, p, d.crash(f))
			y.add(v, func() string { return fmt.Sprintf("behind call %d, %s, the changes %v", i, e, f) })
			if len(y.bad) >= enough {
				return y
			}
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

func (l *looker) look(t testing.TB, s scenario, p progress, left map[string]leftFile) *verdict {
	t.Helper()
	// Stages and the like are of no consequence, but for a backup that has not got
	// its name yet.
	maps.DeleteFunc(left, func(name string, _ leftFile) bool {
		return !strings.HasPrefix(name, liveName) && !(s.options.Backup && numbered.MatchString(name))
	})
	h := sha256.New()
	fmt.Fprintln(h, s.name, p)
	for _, name := range slices.Sorted(maps.Keys(left)) {
		fmt.Fprintln(h, name, left[name].inode, len(left[name].data))
		h.Write(left[name].data)
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
	if err := layOut(l.dir, left); err != nil {
		t.Fatal(err)
	}
	v := l.contents.judge(l.dir, s, p)
	l.known[key] = v
	return v
}

// numbered are names by which a recovery knows a file, with inode numbers in them;
// the first of a copy is a schema cookie.
var numbered = regexp.MustCompile(`^(\..*\.(undo|backup|copy))-([0-9a-f]+)-([0-9a-f]+)$`)

// layOut makes the files, and has the numbers in their names be of what they are of.
func layOut(dir string, left map[string]leftFile) error {
	inodes := map[uint64]uint64{}
	for name, f := range left {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, f.data, 0o600); err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		inodes[f.inode] = st.Ino
	}
	for name := range left {
		m := numbered.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		var n [2]uint64
		for i := range n {
			number, err := strconv.ParseUint(m[3+i], 16, 64)
			if err != nil {
				return err
			}
			if n[i] = number; m[2] != "copy" || i == 1 {
				n[i] = inodes[number] // 0, which no file has, of one that is gone
			}
		}
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, fmt.Sprintf("%s-%x-%x", m[1], n[0], n[1]))); err != nil {
			return err
		}
	}
	return nil
}

func TestNoStateThatAPowerLossMayLeaveIsAMixture(t *testing.T) {
	t.Parallel()
	for _, s := range theirTurn() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			r, l := record(t, s), newLooker(t)
			for _, o := range []order{inOrder, anyChoice} {
				oneOf := testenv.Sample(16, 1)
				if *every {
					oneOf = 1
				}
				y := r.replay(t, l, o, oneOf, math.MaxInt)
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
	t.Parallel()
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
				if !bytes.Equal(data, left[e.Name()].data) {
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
