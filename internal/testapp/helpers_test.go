package testapp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// run is a service on a fixture, with all that it takes to check it afterwards.
type run struct {
	t       *testing.T
	svc     *Service
	path    string // the live database, alone in its directory
	scratch string // for what is to be pushed
	trail   *Trail
	history *History
	loads   []*Load
	closed  bool
}

// alone runs the test beside others, in a process of its own, and reports whether
// this is that one: when a run has ended, no goroutine may be left in it.
func alone(t *testing.T) bool {
	t.Helper()
	t.Parallel()
	return testenv.Alone(t, nil)
}

// startRun serves generation 1 of a fixture. When the test ends, nothing of it
// may be left running.
func startRun(t *testing.T, f Fixture, cfg Config) *run {
	t.Helper()
	return startOn(t, cfg, func(path string) error { return f.Make(t.Context(), path, 1) })
}

// startOn serves the database, of generation 1, that make makes.
func startOn(t *testing.T, cfg Config, make func(path string) error) *run {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	live := t.TempDir()
	r := &run{t: t, path: filepath.Join(live, "shop.db"), scratch: t.TempDir(), history: new(History)}
	if err := make(r.path); err != nil {
		t.Fatal(err)
	}
	cfg.Path, cfg.History = r.path, r.history
	cfg.Logger = zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)
	svc, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	r.svc = svc
	r.trail = NewTrail(r.path, t.TempDir(), 1, "")
	t.Cleanup(func() {
		r.close()
		goleak.VerifyNone(t, ignore)
	})
	return r
}

func (r *run) close() {
	r.t.Helper()
	if r.closed {
		return
	}
	r.closed = true
	r.stopLoads()
	// The test's own context has ended by the time of its cleanup.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.svc.Close(ctx); err != nil {
		r.t.Error(err)
	}
}

// load makes load until stopLoads or close.
func (r *run) load(cfg LoadConfig) {
	r.loads = append(r.loads, r.svc.StartLoad(cfg))
}

func (r *run) stopLoads() {
	for _, l := range r.loads {
		l.Stop()
	}
	r.loads = nil
}

// awaitCalls lets n more calls of each sort that is named end, or of every
// sort.
func (r *run) awaitCalls(n uint64, calls ...Call) {
	r.t.Helper()
	if len(calls) == 0 {
		calls = allCalls()
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	if err := r.svc.Meter().Await(ctx, n, calls...); err != nil {
		r.t.Fatalf("%v\nthe first errors:\n%s", err, strings.Join(r.svc.Meter().Errors(), "\n"))
	}
}

// options are those of a push that the trail can follow.
func (r *run) options() swapper.PushOptions {
	return swapper.PushOptions{Backup: true, Logger: zerolog.New(zerolog.NewTestWriter(r.t)).Level(zerolog.WarnLevel)}
}

// push pushes a file, and adds the one that it replaces to the trail.
func (r *run) push(file, base string, opts swapper.PushOptions) (swapper.Report, error) {
	r.t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	start := time.Now()
	report, err := swapper.Push(r.t.Context(), r.svc.Database(), bytes.NewReader(body), opts)
	if err == nil && !report.DryRun {
		err = r.trail.Replaced(report, base, start, time.Now())
	}
	return report, err
}

// mustPush is push of the next generation of a fixture.
func (r *run) mustPush(f Fixture, opts swapper.PushOptions) swapper.Report {
	r.t.Helper()
	next := r.fixture(f, r.svc.Database().Generation()+1)
	report, err := r.push(next, "", opts)
	if err != nil {
		r.t.Fatalf("push: %v", err)
	}
	return report
}

// fixture makes a file to push.
func (r *run) fixture(f Fixture, generation uint64) string {
	r.t.Helper()
	path := filepath.Join(r.scratch, "next.db")
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	if err := f.Make(r.t.Context(), path, generation); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// finish closes the service and demands that no call failed, that the history
// is right, and that the directory holds nothing but the database.
func (r *run) finish() Verdict {
	r.t.Helper()
	r.close()
	if n := r.svc.Meter().Total().Failed; n != 0 {
		r.t.Errorf("%d calls failed; the first ones:\n%s", n, strings.Join(r.svc.Meter().Errors(), "\n"))
	}
	v, err := Check(r.t.Context(), r.trail.Files(), r.history)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := v.Err(); err != nil {
		r.t.Error(err)
	}
	r.wantDirectory()
	return v
}

// wantDirectory demands that the directory holds nothing but the database and
// its files with the suffixes.
func (r *run) wantDirectory(suffixes ...string) {
	r.t.Helper()
	for _, name := range names(r.t, filepath.Dir(r.path)) {
		suffix, ours := strings.CutPrefix(name, filepath.Base(r.path))
		if !ours || suffix != "" && !slices.Contains(suffixes, suffix) {
			r.t.Errorf("%s is left in the database's directory", name)
		}
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// await blocks until the channel is closed or yields, or the test's deadline.
func await[T any](t *testing.T, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(time.Minute):
		t.Fatalf("waited a minute for %s", what)
		panic("unreachable")
	}
}

// pull takes a snapshot into a file.
func (r *run) pull() string {
	r.t.Helper()
	path := filepath.Join(r.scratch, pulledName(r.svc.Database().Generation()))
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	_, err = swapper.Pull(r.t.Context(), r.svc.Database(), f, swapper.PullOptions{})
	if err := errors.Join(err, f.Close()); err != nil {
		r.t.Fatalf("pull: %v", err)
	}
	return path
}

func pulledName(generation uint64) string { return fmt.Sprintf("pulled-%d.db", generation) }

func wantBadDatabase(t *testing.T, what string, report swapper.Report, err error) {
	t.Helper()
	if !errors.Is(err, swapper.ErrBadDatabase) || report.Swapped {
		t.Errorf("%s: pushed with error %v, report %+v", what, err, report)
	}
}
