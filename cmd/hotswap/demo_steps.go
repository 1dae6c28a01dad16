package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"hotswap/internal/backups"
	"hotswap/internal/testapp"
	"hotswap/swapper"
)

// steps is the story.
func (d *demo) steps(ctx context.Context) error {
	pulled := filepath.Join(d.dir, "pulled.db")
	changed := filepath.Join(d.dir, "changed.db")
	for _, step := range []func() error{
		func() error { return d.pushNext(ctx) },
		func() error { return d.pushNext(ctx) },
		func() error { return d.pushCorrupt(ctx) },
		func() error { return d.pushNext(ctx) },
		func() error { return d.pull(ctx, pulled) },
		func() error {
			if err := testapp.Restamp(ctx, pulled, changed, d.svc.Database().Generation()+1); err != nil {
				return err
			}
			return d.push(ctx, changed, changed, "the pulled one, changed")
		},
		func() error { return d.pushNext(ctx) },
	} {
		if err := rest(ctx, d.pause); err != nil {
			return err
		}
		if err := step(); err != nil {
			return err
		}
	}
	return rest(ctx, d.pause)
}

// pushNext pushes a new database.
func (d *demo) pushNext(ctx context.Context) error {
	generation := d.svc.Database().Generation() + 1
	next := filepath.Join(d.dir, fmt.Sprintf("new-%d.db", generation))
	if err := (testapp.Fixture{Seed: generation}).Make(ctx, next, generation); err != nil {
		return err
	}
	return d.push(ctx, next, "", "")
}

func (d *demo) push(ctx context.Context, file, base, what string) error {
	d.pushes++
	began := time.Now()
	before := d.svc.Database().Generation()
	d.command(what, "-b", file, d.live)
	stderr, code, err := d.cp(ctx, "-b", file, d.live)
	ended := time.Now()
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("the push of %s failed with exit code %d: %s", filepath.Base(file), code, stderr)
	}
	after := d.svc.Database().Generation()
	if err := d.trail.Replaced(swapper.Report{BackupPath: backups.SimplePath(d.live), Generation: after}, base, began, ended); err != nil {
		return err
	}
	stats := d.svc.Database().Stats()
	d.marks = append(d.marks, demoMark{stats.LastSwap, strconv.Itoa(d.pushes)})
	if err := rest(ctx, demoSettle); err != nil {
		return err
	}
	d.note("OK after %s · generation %d → %d · calls paused for %s",
		demoDuration(ended.Sub(began)), before, after, demoDuration(stats.LastPause))
	if too := fmt.Sprintf("swapped in process %d", d.worker.PID()); strings.Contains(stderr, too) {
		d.note("%s, the worker's, too", too)
	}
	d.waits(d.svc.Meter().During(stats.LastSwap.Add(-stats.LastPause), stats.LastSwap))
	d.counts()
	return nil
}

// pushCorrupt pushes a database with a bad page, which must be refused.
func (d *demo) pushCorrupt(ctx context.Context) error {
	generation := d.svc.Database().Generation()
	good, bad := filepath.Join(d.dir, "good.db"), filepath.Join(d.dir, "corrupt.db")
	if err := (testapp.Fixture{}).Make(ctx, good, generation+1); err != nil {
		return err
	}
	if err := testapp.Spoil(ctx, good, bad, testapp.CorruptPage); err != nil {
		return err
	}
	began := time.Now()
	d.command("one page of it is noise", "-b", bad, d.live)
	stderr, code, err := d.cp(ctx, "-b", bad, d.live)
	if err != nil {
		return err
	}
	d.marks = append(d.marks, demoMark{time.Now(), "x"})
	if code == 0 {
		return errors.New("a corrupt database was pushed")
	}
	d.note("refused after %s with exit code %d · generation %d as before",
		demoDuration(time.Since(began)), code, d.svc.Database().Generation())
	for line := range strings.Lines(stderr) {
		d.quote(strings.ReplaceAll(line, d.dir+string(filepath.Separator), ""))
	}
	d.counts()
	if got := d.svc.Database().Generation(); got != generation {
		return fmt.Errorf("a push that was refused made generation %d", got)
	}
	return nil
}

func (d *demo) pull(ctx context.Context, into string) error {
	began := time.Now()
	d.command("", d.live, into)
	stderr, code, err := d.cp(ctx, d.live, into)
	ended := time.Now()
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("the pull failed with exit code %d: %s", code, stderr)
	}
	d.marks = append(d.marks, demoMark{ended, "p"})
	sum, err := testapp.Inspect(ctx, into)
	if err != nil {
		return err
	}
	size, err := demoFileSize(into)
	if err != nil {
		return err
	}
	d.note("OK after %s · %s of generation %d, with %d writes in it",
		demoDuration(ended.Sub(began)), formatSize(&size), sum.Generation, sum.Writes)
	d.counts()
	return nil
}

// cp runs the real command in a process of its own.
func (d *demo) cp(ctx context.Context, args ...string) (stderr string, code int, err error) {
	args = append([]string{"cp", "--socket", d.socket, "--stderr-socket", filepath.Join(d.dir, "hotswap.stderr.sock")}, args...)
	cmd := exec.CommandContext(ctx, d.exe, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = demoGrace
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &out
	err = cmd.Run()
	if ctx.Err() != nil {
		return "", 0, ctx.Err()
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return strings.TrimSpace(out.String()), exit.ExitCode(), nil
	}
	if err != nil {
		return "", 0, fmt.Errorf("run %s cp: %w", d.exe, err)
	}
	return strings.TrimSpace(out.String()), 0, nil
}

// counts tells what was served since the step before.
func (d *demo) counts() {
	total := d.svc.Meter().Total()
	d.note("%s calls served since the step before, %s failed",
		demoNumber(total.Served-d.served), demoNumber(total.Failed-d.failed))
	d.served, d.failed = total.Served, total.Failed
}

// rest leaves the load running for a while.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func demoFileSize(path string) (int64, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}
