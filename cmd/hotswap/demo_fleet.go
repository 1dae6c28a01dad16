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
	"strings"
	"time"

	"hotswap/internal/engine/embedded"
	"hotswap/internal/fleetapp"
)

// demoNodes is how many programs the fleet has.
const demoNodes = 5

// demoNodeCmd is a program of the fleet, in a process of its own.
type demoNodeCmd struct {
	Config string `arg:""`
}

// Run works until its standard input ends.
func (c demoNodeCmd) Run(ctx context.Context, stdio *streams) error {
	return fleetapp.Run(ctx, c.Config, stdio.in, stdio.out, stdio.err)
}

// fleetDemo is one run of the demo with a fleet.
type fleetDemo struct {
	*demoPrinter
	exe    string // this program
	dir    string // temporary, removed at the end
	engine *embedded.Server
	nodes  []*demoNode
	file   string // of the version that was published last
}

// runFleetDemo runs it. exe is a program that knows the commands of a fleet.
func runFleetDemo(ctx context.Context, exe string, out *demoPrinter) (err error) {
	dir, err := os.MkdirTemp("", "hotswap-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &fleetDemo{demoPrinter: out, exe: exe, dir: dir}
	d.title("hotswap demo: five programs get what is published, each without a failed call")
	defer d.stop()
	for _, step := range []func(context.Context) error{d.begin, d.firstRollout, d.rollsOut, d.isHalted, d.catchesUp, d.goesBack} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
	}
	if err := d.verdict(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// stop ends what still runs.
func (d *fleetDemo) stop() {
	for _, n := range d.nodes {
		n.kill()
	}
	if d.engine != nil {
		d.engine.Stop()
	}
}

// begin starts the engine, and programs that have all the same database.
func (d *fleetDemo) begin(ctx context.Context) (err error) {
	d.file = filepath.Join(d.dir, "catalog-1.sqlite3")
	if err := fleetapp.Make(ctx, d.file, fleetapp.Content{Version: 1, Rows: 20_000}); err != nil {
		return err
	}
	size, err := demoFileSize(d.file)
	if err != nil {
		return err
	}
	if d.engine, err = embedded.Start(embedded.Config{Dir: filepath.Join(d.dir, "engine"), Port: -1, Lax: true}); err != nil {
		return err
	}
	d.step("an engine, as `hotswap fleet serve` runs it; and five programs, each")
	d.note("with its copy of a catalogue of %s, read by four loops", formatSize(&size))
	for i := range demoNodes {
		n := &demoNode{name: fmt.Sprintf("web-%d", i+1), began: d.began}
		n.path = filepath.Join(d.dir, n.name, "catalog.sqlite3")
		if err := os.Mkdir(filepath.Dir(n.path), 0o755); err != nil {
			return err
		}
		data, err := os.ReadFile(d.file)
		if err == nil {
			err = os.WriteFile(n.path, data, 0o644)
		}
		if err == nil {
			err = d.start(n)
		}
		if err != nil {
			return err
		}
		d.nodes = append(d.nodes, n)
	}
	return nil
}

func (d *fleetDemo) start(n *demoNode) (err error) {
	cfg := fleetapp.Config{Engine: d.engine.ClientURL(), Node: n.name, Path: n.path, Readers: 4, Think: 20 * time.Millisecond, Interval: 100 * time.Millisecond}
	n.process, err = fleetapp.Start(cfg, func(argument string) *exec.Cmd {
		cmd := exec.Command(d.exe, "demo-node", argument)
		cmd.Stderr = os.Stderr
		return cmd
	}, n.reported)
	return err
}

// firstRollout makes the fleet know what it has.
func (d *fleetDemo) firstRollout(ctx context.Context) error {
	if err := d.fleet(ctx, 0, "publish", d.file, "catalog"); err != nil {
		return err
	}
	return d.fleet(ctx, 0, "rollout", "catalog@1", "--wait")
}

// publish publishes the next version: one item in a hundred is another.
func (d *fleetDemo) publish(ctx context.Context, version uint64, bad bool) error {
	next := filepath.Join(d.dir, fmt.Sprintf("catalog-%d.sqlite3", version))
	if err := fleetapp.Next(ctx, d.file, next, fleetapp.Content{Version: version, Bad: bad}); err != nil {
		return err
	}
	d.file = next
	return d.fleet(ctx, 0, "publish", next, "catalog")
}

// rollsOut is a rollout as it should be.
func (d *fleetDemo) rollsOut(ctx context.Context) error {
	d.line("")
	if err := d.publish(ctx, 2, false); err != nil {
		return err
	}
	if err := d.fleet(ctx, 0, "rollout", "catalog", "--canary", "1", "--waves", "60%", "--soak", "1s", "-w"); err != nil {
		return err
	}
	return d.expect(2, d.nodes...)
}

// isHalted is one of a version that is whole, and of no use.
func (d *fleetDemo) isHalted(ctx context.Context) error {
	d.line("")
	d.step("the next version has a negative price: no check of SQLite's finds")
	d.note("that, but the program's own Health does")
	if err := d.publish(ctx, 3, true); err != nil {
		return err
	}
	if err := d.fleet(ctx, exitFailed, "rollout", "catalog", "--canary", "1", "--soak", "1s", "--wait"); err != nil {
		return err
	}
	if err := d.expect(2, d.nodes...); err != nil {
		return err
	}
	d.note("web-1 had it for a moment, and went back by itself; nobody else got it")
	return nil
}

// catchesUp is a rollout while one of the programs is gone.
func (d *fleetDemo) catchesUp(ctx context.Context) error {
	d.line("")
	gone := d.nodes[3]
	d.step("kill -9 %s (process %d), and roll out what puts it right", gone.name, gone.process.PID())
	gone.kill()
	if err := d.publish(ctx, 4, false); err != nil {
		return err
	}
	if err := d.fleet(ctx, 0, "rollout", "catalog", "--canary", "1", "--wait"); err != nil {
		return err
	}
	d.step("%s is started again, with what it had", gone.name)
	if err := d.start(gone); err != nil {
		return err
	}
	if err := d.expect(4, d.nodes...); err != nil {
		return err
	}
	d.note("and has come to catalog@4 by itself")
	return nil
}

// goesBack is a rollback.
func (d *fleetDemo) goesBack(ctx context.Context) error {
	d.line("")
	if err := d.fleet(ctx, 0, "rollback", "catalog", "--wait"); err != nil {
		return err
	}
	if err := d.expect(2, d.nodes...); err != nil {
		return err
	}
	return d.fleet(ctx, 0, "status")
}

// fleet runs a command of the fleet's in a process of its own, and shows what it says.
func (d *fleetDemo) fleet(ctx context.Context, want int, args ...string) error {
	words := []string{"$ hotswap fleet"}
	for _, arg := range args {
		words = append(words, filepath.Base(arg))
	}
	d.step("%s", strings.Join(words, " "))
	cmd := exec.CommandContext(ctx, d.exe, append([]string{"fleet"}, args...)...)
	cmd.Env = append(os.Environ(), "HOTSWAP_ENGINE="+d.engine.ClientURL())
	cmd.WaitDelay = demoGrace
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &said
	if args[0] == "status" {
		cmd.Stdout = &said
	}
	err := cmd.Run()
	for line := range strings.Lines(said.String()) {
		if line = strings.TrimRight(line, "\n"); args[0] == "status" {
			d.row(line)
		} else {
			d.quote(line)
		}
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == want {
		err = nil
	} else if err == nil && want != 0 {
		err = fmt.Errorf("it exits with 0, and not with %d", want)
	}
	if err != nil {
		return fmt.Errorf("hotswap fleet %s: %w", args[0], err)
	}
	return ctx.Err()
}

// row prints a line of a status, broken within its last column.
func (d *fleetDemo) row(line string) {
	last := 0
	if i := strings.LastIndex(line, "  "); i >= 0 {
		last = i + len("  ")
	}
	var b strings.Builder
	writeWrapped(&b, line[:last], strings.Repeat(" ", last), line[last:], demoWidth-len(demoIndent)-len("| "))
	for l := range strings.Lines(b.String()) {
		d.note("%s", "| "+strings.TrimRight(l, "\n"))
	}
}
