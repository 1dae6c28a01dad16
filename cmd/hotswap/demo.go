package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"hotswap/internal/testapp"
)

// How the demo is paced. It shows a program at work, so between two steps there
// is some of that to see.
const (
	demoRest   = 700 * time.Millisecond // between two steps
	demoSettle = 100 * time.Millisecond // for the calls that waited to end and be counted
	demoGrace  = 5 * time.Second        // for what is under way when it is interrupted
)

// demoCmd shows a service that works on while its database is pushed and
// pulled.
type demoCmd struct {
	Fleet bool `help:"Show a fleet instead: an engine and five programs, each with its database, to which versions are rolled out."`
}

// Help is the long description on the command line.
func (demoCmd) Help() string {
	return "Makes a temporary database, serves it under load from two processes, a service and its worker, and pushes five new ones over it, with a corrupt one and a pull in between. " +
		"Fails if a call failed, a read saw two databases at once or a write is missing. " +
		"With --fleet, five processes get what is published: in waves; one version halts at the first node and goes back; one process is killed and catches up."
}

// Run needs no flags: it brings its own database, service and socket.
func (c demoCmd) Run(ctx context.Context, stdio *streams) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("demo: find this program: %w", err)
	}
	if c.Fleet {
		err = runFleetDemo(ctx, exe, newDemoPrinter(stdio.out))
	} else {
		err = runDemo(ctx, exe, newDemoPrinter(stdio.out), demoRest)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("demo: %w", context.Cause(ctx))
	}
	return err
}

// demoWorkerCmd is the second process of the demo: the job queue.
type demoWorkerCmd struct {
	Path string `arg:""`
}

// Run works until its standard input ends.
func (c demoWorkerCmd) Run(ctx context.Context, stdio *streams) error {
	return testapp.Work(ctx, demoConfig(c.Path), stdio.in, stdio.out)
}

// demoConfig is what both processes open the database with.
func demoConfig(path string) testapp.Config {
	return testapp.Config{Path: path, JournalMode: "wal", JobsElsewhere: true}
}

// demo is one run of it.
type demo struct {
	*demoPrinter
	exe     string        // this program, for cp
	pause   time.Duration // between two steps
	dir     string        // temporary, removed at the end
	live    string        // the database that is served
	socket  string
	svc     *testapp.Service
	worker  *testapp.Elsewhere
	history *testapp.History
	trail   *testapp.Trail

	loadBegan time.Time
	marks     []demoMark
	pushes    int
	served    uint64 // as of the step before
	failed    uint64
}

// runDemo runs the whole demo. exe is a program that knows the command cp, and
// pause how long the load is left alone between two steps.
func runDemo(ctx context.Context, exe string, out *demoPrinter, pause time.Duration) (err error) {
	dir, err := os.MkdirTemp("", "hotswap-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &demo{
		demoPrinter: out,
		exe:         exe,
		pause:       pause,
		dir:         dir,
		live:        filepath.Join(dir, "shop.db"),
		socket:      filepath.Join(dir, "hotswap.sock"),
		history:     new(testapp.History),
	}
	d.title("hotswap demo: five databases pushed under a program at work")
	defer func() { d.worker.Kill() }()
	if err := d.start(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	load := d.svc.StartLoad(testapp.LoadConfig{Readers: 4, Writers: 2, Think: 2 * time.Millisecond})
	d.loadBegan = time.Now()
	err = d.steps(ctx)
	load.Stop()
	loadEnded := time.Now()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), demoGrace)
	defer cancel()
	if err := errors.Join(err, d.svc.Close(grace)); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := d.verdict(ctx, loadEnded); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// start makes the database and serves it.
func (d *demo) start(ctx context.Context) error {
	if err := (testapp.Fixture{}).Make(ctx, d.live, 1); err != nil {
		return err
	}
	sum, err := testapp.Inspect(ctx, d.live)
	if err != nil {
		return err
	}
	size, err := demoFileSize(d.live)
	if err != nil {
		return err
	}
	d.step("made %s: %s, %d tables", filepath.Base(d.live), formatSize(&size), sum.Tables)
	d.note("in %s, removed at the end", d.dir)
	cfg := demoConfig(d.live)
	cfg.History, cfg.Samples = d.history, 1<<18
	cfg.Socket = &testapp.Socket{Path: d.socket, StderrPath: filepath.Join(d.dir, "hotswap.stderr.sock")}
	if d.svc, err = testapp.Start(ctx, cfg); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, d.exe, "demo-worker", d.live)
	cmd.Stderr = os.Stderr
	if d.worker, err = testapp.StartElsewhere(cmd); err != nil {
		return errors.Join(err, d.svc.Close(ctx))
	}
	d.trail = testapp.NewTrail(d.live, d.dir, 1, "")
	d.step("serving it on %s, with a load:", d.svc.URL())
	d.note("4 readers and 2 writers over HTTP, a loop that queries inside open")
	d.note("Rows, a worker that says BEGIN IMMEDIATE on a pinned connection, a")
	d.note("statement that was prepared once, and a cache; and on the same file,")
	d.note("in a process of its own (%d), a job queue", d.worker.PID())
	return nil
}

// verdict draws the timeline and checks the history against the files.
func (d *demo) verdict(ctx context.Context, loadEnded time.Time) error {
	m := d.svc.Meter()
	d.timeline(m, d.loadBegan, loadEnded, d.marks)
	worked, err := d.worker.End(d.history)
	if err != nil {
		return err
	}
	total := m.Total()
	d.result("%s calls served, %s failed", demoNumber(total.Served), demoNumber(total.Failed))
	d.result("half of them took %s or less, 99 %% %s, the longest %s",
		demoDuration(m.Quantile(0.5)), demoDuration(m.Quantile(0.99)), demoDuration(total.Longest))
	d.result("in the worker's process %s calls served, %s failed; it was told of %d swaps",
		demoNumber(worked.Calls.Served), demoNumber(worked.Calls.Failed), worked.Swaps)
	v, err := testapp.Check(ctx, d.trail.Files(), d.history)
	if err != nil {
		return err
	}
	d.result("%s writes were acknowledged: %s", demoNumber(uint64(v.Writes)), goodOr(v.Writes > 0 && v.Err() == nil,
		"each is in the file that was live then", "see below"))
	d.result("%s reads: %s", demoNumber(uint64(v.Reads)), goodOr(v.Reads > 0 && v.Err() == nil,
		"each saw one database, none went back", "see below"))
	d.result("done in %s", demoDuration(time.Since(d.began)))
	var errs []error
	if total.Failed != 0 {
		errs = append(errs, fmt.Errorf("%d calls failed: %s", total.Failed, strings.Join(m.Errors(), "; ")))
	}
	if worked.Calls.Failed != 0 {
		errs = append(errs, fmt.Errorf("%d calls of the worker's process failed: %s", worked.Calls.Failed, strings.Join(worked.Errors, "; ")))
	}
	if int(worked.Swaps) != d.pushes {
		errs = append(errs, fmt.Errorf("the worker's process was told of %d swaps, and there were %d", worked.Swaps, d.pushes))
	}
	if total.Served == 0 || worked.Calls.Served == 0 {
		errs = append(errs, errors.New("no call was served"))
	}
	return errors.Join(append(errs, v.Err())...)
}

func goodOr(ok bool, good, bad string) string {
	if ok {
		return good
	}
	return bad
}
