//go:build linux

package scale

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/fleetapp"
	"hotswap/internal/records"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
	"hotswap/internal/testenv"
)

const fewNodes = 3

var (
	nodes   = flag.Int("nodes", fewNodes, "how many programs there are, each in a process of its own")
	size    = flag.Int64("megabytes", 4, "how large the database of each is")
	where   = flag.String("databases", "", "the directory for the databases; by default a temporary one")
	byRsync = flag.Bool("rsync", false, "bring the same change to as many files with rsync")
)

const (
	nodeEnv   = "HOTSWAP_SCALE_NODE"
	engineEnv = "HOTSWAP_SCALE_ENGINE"
)

func TestMain(m *testing.M) {
	run := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if argument := os.Getenv(nodeEnv); argument != "" {
		run(fleetapp.Run(context.Background(), argument, os.Stdin, os.Stdout, os.Stderr))
	}
	if dir := os.Getenv(engineEnv); dir != "" {
		run(ServeEngine(dir, -1, os.Stdin, os.Stdout))
	}
	testenv.NoPeers()
	os.Exit(m.Run())
}

// command is this program as another process of the measurement.
func command(variable, value string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), variable+"="+value)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// fleet is the engine and the programs.
type fleet struct {
	t        *testing.T
	engine   *Engine
	repo     *repository.Repository
	recs     *records.Records
	programs []*fleetapp.Process
	orders   int
}

// begin starts all of it; each program has a copy of a file.
func begin(t *testing.T, file, dir string) *fleet {
	f := &fleet{t: t}
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	var err error
	f.engine, err = StartEngine(command(engineEnv, filepath.Join(t.TempDir(), "engine")))
	must(err)
	t.Cleanup(func() { f.engine.Stop() })
	e, err := engine.Connect(t.Context(), engine.Config{URL: f.engine.URL})
	must(err)
	t.Cleanup(e.Close)
	f.repo, err = repository.Open(t.Context(), e, nil)
	must(err)
	f.recs, err = records.Open(t.Context(), e)
	must(err)
	for i := range *nodes {
		cfg := fleetapp.Config{Engine: f.engine.URL, Node: fmt.Sprintf("node-%03d", i), Path: filepath.Join(dir, fmt.Sprintf("node-%03d", i), "catalog.sqlite3"),
			Readers: 1, Think: 500 * time.Millisecond, Interval: time.Second}
		must(os.MkdirAll(filepath.Dir(cfg.Path), 0o700))
		must(copyFile(file, cfg.Path))
		p, err := fleetapp.Start(cfg, func(argument string) *exec.Cmd { return command(nodeEnv, argument) }, nil)
		must(err)
		f.programs = append(f.programs, p)
		t.Cleanup(p.Kill)
	}
	for all, err := f.recs.Read(t.Context()); err != nil || len(all.Nodes) < *nodes; all, err = f.recs.Read(t.Context()) {
		must(err)
		time.Sleep(50 * time.Millisecond)
	}
	return f
}

// copyFile copies within the kernel, which shares the blocks where the file system can.
func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	_, err = io.Copy(dst, src)
	return err
}

// publish publishes a file as the next version.
func (f *fleet) publish(file string) repository.Sent {
	f.t.Helper()
	p, err := f.repo.Publish(f.t.Context(), fleetapp.Channel, file, repository.PublishOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	return p.Sent
}

// rollout orders a version, and returns when all had prepared, and when it was done.
func (f *fleet) rollout(version uint64) (prepared, done time.Duration) {
	f.t.Helper()
	before, entry, err := f.recs.Order(f.t.Context(), fleetapp.Channel)
	if err != nil {
		f.t.Fatal(err)
	}
	f.orders++
	o, err := rollout.NewRollout(fmt.Sprint("order-", f.orders), fleetapp.Channel, version, rollout.Plan{}, before, true)
	if err != nil {
		f.t.Fatal(err)
	}
	began := time.Now()
	if _, err := f.recs.SetOrder(f.t.Context(), o, entry); err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(f.t.Context(), 10*time.Minute)
	defer cancel()
	var last rollout.Progress
	err = f.recs.WatchChannels(ctx, []string{fleetapp.Channel}, "", func(c records.Change) {
		if c.Progress == nil || !c.Progress.Of(o) {
			return
		}
		last = *c.Progress
		if last.Open > 0 && prepared == 0 {
			prepared = time.Since(began)
		}
		if last.Phase == rollout.Done || last.Phase == rollout.Halted {
			done = time.Since(began)
			cancel()
		}
	})
	if last.Phase != rollout.Done || len(last.Failed) > 0 || len(last.Waves[0]) != *nodes {
		f.t.Fatalf("%+v: %v", last, err)
	}
	return prepared, done
}

// used is what the engine and all programs have used.
func (f *fleet) used() (engine Usage, all []Usage) {
	f.t.Helper()
	engine, err := Of(f.engine.PID())
	if err != nil {
		f.t.Fatal(err)
	}
	for _, p := range f.programs {
		u, err := Of(p.PID())
		if err != nil {
			f.t.Fatal(err)
		}
		all = append(all, u)
	}
	return engine, all
}

// TestAFleetWithDatabases brings a version of which one page in a hundred is new to each
// program of a fleet, and says what that took. It asks for what must be so in any case: that
// each has it, that no call failed, and that little more travelled than is new.
func TestAFleetWithDatabases(t *testing.T) {
	if *nodes == fewNodes {
		testenv.Long(t) // of few, package fleet asks more
	}
	dir := *where
	if dir == "" {
		dir = t.TempDir()
	}
	one, two := filepath.Join(dir, "one.sqlite3"), filepath.Join(dir, "two.sqlite3")
	const rowsInPage = 9
	rows := int(*size * 1_000_000 / (4096 / rowsInPage))
	if err := fleetapp.Make(t.Context(), one, fleetapp.Content{Version: 1, Rows: rows}); err != nil {
		t.Fatal(err)
	}
	if err := fleetapp.Sparse(t.Context(), one, two, 2, 100*rowsInPage); err != nil {
		t.Fatal(err)
	}
	f := begin(t, one, dir)
	f.publish(one)
	f.rollout(1)
	began := time.Now()
	sent := f.publish(two)
	t.Logf("%d programs, %d MB each: published in %.1f s, of which %.1f MB travelled", *nodes, *size, time.Since(began).Seconds(), float64(sent.Bytes)/1e6)
	traffic, err := f.engine.Traffic()
	if err != nil {
		t.Fatal(err)
	}
	engineBefore, before := f.used()
	prepared, done := f.rollout(2)
	engineAfter, after := f.used()
	now, err := f.engine.Traffic()
	if err != nil {
		t.Fatal(err)
	}
	traffic = now.Since(traffic)
	t.Logf("all prepared after %.2f s, all swapped %.2f s later; engine: messages %d in, %d out; MB %.1f in, %.1f out; %.2f s of processor, %d MB at most",
		prepared.Seconds(), (done - prepared).Seconds(), traffic.InMsgs, traffic.OutMsgs, float64(traffic.InBytes)/1e6, float64(traffic.OutBytes)/1e6,
		(engineAfter.CPU - engineBefore.CPU).Seconds(), engineAfter.Peak/1e6)
	f.verdict(before, after)
	if *byRsync {
		rsync(t, one, two, dir)
	}
}

// verdict ends the programs.
func (f *fleet) verdict(before, after []Usage) {
	t := f.t
	all, err := f.recs.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var cpu []time.Duration
	var travelled, peak int64
	var longest time.Duration
	for i, p := range f.programs {
		cpu = append(cpu, after[i].CPU-before[i].CPU)
		peak = max(peak, after[i].Peak)
		if name := fmt.Sprintf("node-%03d", i); all.Lease != nil && all.Lease.Node == name {
			t.Logf("the controller, %s: %.2f s of processor, %d MB at most", name, cpu[i].Seconds(), after[i].Peak/1e6)
		}
		r, err := p.End()
		if err != nil {
			t.Error(err)
		}
		db := r.Status.Databases[fleetapp.Channel]
		travelled, longest = max(travelled, db.TotalBytes), max(longest, r.Longest)
		if r.Failed > 0 || db.Version != 2 {
			t.Errorf("%+v", r)
		}
	}
	slices.Sort(cpu)
	t.Logf("each program: %.2f to %.2f s of processor, at most %d MB resident; %.2f MB travelled at most; the longest call %v", cpu[0].Seconds(),
		cpu[len(cpu)-1].Seconds(), peak/1e6, float64(travelled)/1e6, longest.Round(time.Millisecond))
	if most := *size*1_000_000/50 + 200_000; travelled > most {
		t.Errorf("%d bytes have travelled to one program, more than %d", travelled, most)
	}
}

// rsync brings the same change to as many files, at once, with the processes at both ends of a
// pipe.
func rsync(t *testing.T, one, two, dir string) {
	var copies []string
	for i := range *nodes {
		copies = append(copies, filepath.Join(dir, fmt.Sprintf("rsync-%03d.sqlite3", i)))
		if err := copyFile(one, copies[i]); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	var work sync.WaitGroup
	for i, to := range copies {
		work.Go(func() {
			out, err := exec.Command("rsync", "--no-whole-file", "--stats", "--ignore-times", two, to).CombinedOutput()
			if err != nil {
				t.Errorf("%v: %s", err, out)
			} else if i == 0 {
				t.Logf("%s", out)
			}
		})
	}
	work.Wait()
	t.Logf("rsync to %d files at once: %.2f s", len(copies), time.Since(began).Seconds())
}
