//go:build linux && (amd64 || arm64)

package sweep

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"hotswap/internal/testenv"
)

// fixture is a scenario with its files, and the record of its calls.
type fixture struct {
	scenario
	root  string
	seed  []byte // the live file before the victim's writes
	image []byte // what is pushed
	fresh []byte // what is pushed after
	moved []byte // what somebody puts in the live one's place
	// The live file with the victim's writes.
	written []byte
	cookie  int // of image's schema
	record  []call
	// The digests of the database with the victim's writes, and of the pushed ones.
	old, new, freshDigest, movedDigest string
	stamps                             map[state]string
}

// prepared are the fixtures that there are, by the names of their scenarios.
var prepared = map[string]*fixture{}

// prepare makes the fixture of a scenario, if no test has asked for it yet.
func prepare(t *testing.T, s scenario) *fixture {
	t.Helper()
	if prepared[s.name] == nil {
		prepared[s.name] = newFixture(t, s)
	}
	return prepared[s.name]
}

// newFixture makes the files of a scenario, and records the operation's calls.
func newFixture(t *testing.T, s scenario) *fixture {
	t.Helper()
	f := &fixture{scenario: s, root: runsDir(t), stamps: map[state]string{stateOld: "old", stateNew: "new"}}
	f.seed, f.old = f.database(t, "old", 80, true)
	f.image, f.new = f.database(t, "new", 120, false)
	f.fresh, f.freshDigest = f.database(t, "fresh", 30, false)
	f.moved, f.movedDigest = f.database(t, "moved", 50, false)
	db, err := sql.Open("sqlite3", filepath.Join(f.root, "new"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("PRAGMA schema_version").Scan(&f.cookie); err != nil {
		t.Fatal(err)
	}
	if f.written, err = os.ReadFile(filepath.Join(f.root, "old")); err != nil {
		t.Fatal(err)
	}
	result := f.run(fault{})
	if errors.Is(result.err, errNoFilter) {
		testenv.Skip(t, "system calls can't be supervised here: %v", result.err)
	}
	// The first two that are the same are the record: chance may decide in which of
	// two threads a call is made.
	again := f.run(fault{})
	for range 10 {
		if fmt.Sprint(result.calls) == fmt.Sprint(again.calls) {
			break
		}
		result, again = again, f.run(fault{})
	}
	f.record = result.calls
	for _, r := range []runResult{result, again} {
		want := stateNew
		if s.pull {
			want = stateOld
		}
		if r.err != nil {
			t.Fatal(r.err)
		}
		if !s.broken && (r.state != want || len(r.wrong) > 0 || r.outcome.Error != "") {
			t.Fatalf("without a fault: the %s database, %q, %+v", r.state, r.wrong, r.outcome)
		}
		if fmt.Sprint(r.calls) != fmt.Sprint(f.record) {
			t.Fatalf("the calls are not the same in every run:\n%s\n%s", f.record, r.calls)
		}
	}
	return f
}

// runsRoot holds the files of all runs.
var runsRoot string

// makeRunsRoot makes it in memory, if it may: neither a kill nor an injected error
// asks the disk, and thousands of runs sync their files. TMPDIR moves it elsewhere.
func makeRunsRoot() (err error) {
	if os.Getenv("TMPDIR") == "" {
		if runsRoot, err = os.MkdirTemp("/dev/shm", "hotswap-sweep-"); err == nil {
			return nil
		}
	}
	runsRoot, err = os.MkdirTemp("", "hotswap-sweep-")
	return err
}

func runsDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(runsRoot, "")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// database makes a database and returns its bytes, and its digest, if need be
// after the writes of a victim.
func (f *fixture) database(t *testing.T, stamp string, items int, written bool) (data []byte, after string) {
	t.Helper()
	path := filepath.Join(f.root, stamp)
	make := func() error { return makeDatabase(path, stamp, items) }
	if f.pages > 0 && stamp == "new" {
		make = func() error { return makeSmallDatabase(path, f.pages) }
	}
	if err := make(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if written {
		if err := acknowledge(db, 0, 1); err != nil {
			t.Fatal(err)
		}
	}
	if after, err = digest(db); err != nil {
		t.Fatal(err)
	}
	return data, after
}

// place lays the files of a run out in dir. The live file has an owner, a mode
// and an attribute to carry over, where the machine allows it.
func (f *fixture) place(dir string) error {
	path := filepath.Join(dir, databaseFile)
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, imageFile), f.image, 0o600); err != nil || f.missing {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, movedFile), f.moved, 0o640); err != nil {
		return err
	}
	if f.adopts {
		if err := f.ageMoved(dir); err != nil {
			return err
		}
	}
	if f.leave != nil {
		return errors.Join(os.WriteFile(path, f.image, 0o640), f.leave(f, path))
	}
	if err := os.WriteFile(path, f.seed, 0o640); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		if err := os.Chown(path, 65534, 65534); err != nil {
			return err
		}
	}
	if err := unix.Setxattr(path, "user.hotswap", []byte("kept"), 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	return nil
}

// runResult is what came of one run.
type runResult struct {
	calls   []call
	reached bool // the fault's point
	killed  bool
	outcome *outcome // of a victim that lived
	state   state
	wrong   []string
	err     error // the sweep's own
}

// An operation does not always make the same calls: how often one is tried that
// ended before the fault's point, how often one that went another way, and how many of
// the record's last calls may never come.
const (
	attempts = 5
	strays   = 40
	tail     = 8
)

// reach runs a fault until its point is reached, some times at most.
func (f *fixture) reach(ft fault) (r runResult) {
	for missed, strayed := 0, 0; missed < attempts && strayed < strays; {
		r = f.run(ft)
		switch {
		case r.reached:
			return r
		case errors.Is(r.err, errStrayed):
			strayed++
		default:
			missed++
		}
	}
	return r
}

// run does the operation once, with the fault. If it ends before the fault's point
// it is judged as one without a fault.
func (f *fixture) run(ft fault) (r runResult) {
	dir, err := os.MkdirTemp(f.root, "run-")
	if err != nil {
		return runResult{err: err}
	}
	defer os.RemoveAll(dir)
	if r.err = f.place(dir); r.err != nil {
		return r
	}
	s := &supervisor{fault: ft, record: f.record, place: placeOf(dir), move: func() error {
		return os.Rename(filepath.Join(dir, movedFile), filepath.Join(dir, databaseFile))
	}}
	if !f.missing && !f.removed {
		s.live = filepath.Join(dir, databaseFile)
	}
	var out []byte
	out, r.killed, r.err = s.supervise(victimCommand(f.name, dir))
	r.calls, r.reached, r.wrong = s.calls, s.reached, s.wrong
	if !r.reached {
		ft = fault{}
	}
	if r.err == nil && !r.killed {
		r.outcome = new(outcome)
		if err := json.Unmarshal(out, r.outcome); err != nil {
			r.err = fmt.Errorf("the victim said %q: %w", out, err)
		}
	}
	if r.err == nil {
		var wrong []string
		r.state, wrong = f.inspect(dir, ft, r.outcome)
		r.wrong = append(r.wrong, wrong...)
	}
	return r
}
