//go:build linux

package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/records"
	"hotswap/internal/rollout"
	"hotswap/internal/scale"
)

// controlPlane is the measurement.
type controlPlane struct {
	t      *testing.T
	n      int
	prefix string
	dir    string // of the engine
	engine *scale.Engine
	procs  []*exec.Cmd // of nodes; the first has the controller alone
	ins    []io.Closer
	recs   *records.Records
	orders int
}

// usage is what all have used.
type usage struct {
	at                 time.Time
	traffic            scale.Traffic
	engine, controller scale.Usage
	nodes              time.Duration
	peak               int64 // of the processes with nodes, together
}

func (c *controlPlane) command(p part) *exec.Cmd {
	text, err := json.Marshal(p)
	if err != nil {
		c.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), scaleEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// start starts the engine, a node that becomes the controller, and the others in two
// processes.
func (c *controlPlane) start() {
	t := c.t
	t.Helper()
	var err error
	c.dir = filepath.Join(t.TempDir(), "engine")
	if c.engine, err = scale.StartEngine(c.command(part{EngineDir: c.dir, EnginePort: -1})); err != nil {
		t.Fatal(err)
	}
	e, err := engine.Connect(t.Context(), engine.Config{URL: c.engine.URL})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.recs, err = records.Open(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for i, cmd := range c.procs {
			c.ins[i].Close()
			cmd.Wait()
		}
		e.Close()
		c.engine.Stop()
	})
	c.nodes(0, 1)()
	eventually(t, "there is a controller", func() bool {
		all, err := c.recs.Read(t.Context())
		return err == nil && all.Lease != nil
	})
	half := 1 + (c.n-1)/2
	a, b := c.nodes(1, half), c.nodes(half, c.n)
	a()
	b()
}

// nodes starts a process of nodes, and returns what waits for it.
func (c *controlPlane) nodes(from, upto int) (ready func()) {
	cmd := c.command(part{Engine: c.engine.URL, Prefix: c.prefix, From: from, Upto: upto})
	in, err := cmd.StdinPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.procs, c.ins = append(c.procs, cmd), append(c.ins, in)
	return func() {
		if _, err := out.Read(make([]byte, 1)); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *controlPlane) now() (u usage) {
	u.at = time.Now()
	var err error
	of := func(pid int) scale.Usage {
		one, failed := scale.Of(pid)
		err = errors.Join(err, failed)
		return one
	}
	u.engine, u.controller = of(c.engine.PID()), of(c.procs[0].Process.Pid)
	for _, cmd := range c.procs[1:] {
		one := of(cmd.Process.Pid)
		u.nodes += one.CPU
		u.peak += one.Peak
	}
	traffic, failed := c.engine.Traffic()
	if err = errors.Join(err, failed); err != nil {
		c.t.Fatal(err)
	}
	u.traffic = traffic
	return u
}

// row prints what was used since, and returns what is used now.
func (c *controlPlane) row(what string, from usage, more string) usage {
	to := c.now()
	traffic := to.traffic.Since(from.traffic)
	mb := func(n int64) float64 { return float64(n) / 1e6 }
	c.say("%-8s %6.2f s  messages %6d in %7d out  MB %7.2f in %8.2f out  cpu s %6.2f engine %6.2f controller %6.2f nodes  peak MB %4.0f engine %4.0f controller %5.0f nodes  %s",
		what, to.at.Sub(from.at).Seconds(), traffic.InMsgs, traffic.OutMsgs, mb(traffic.InBytes), mb(traffic.OutBytes),
		(to.engine.CPU - from.engine.CPU).Seconds(), (to.controller.CPU - from.controller.CPU).Seconds(), (to.nodes - from.nodes).Seconds(),
		mb(to.engine.Peak), mb(to.controller.Peak), mb(to.peak), more)
	return to
}

// rollout orders a version, and returns when all had prepared, and when it was done.
func (c *controlPlane) rollout(version uint64, plan rollout.Plan) (prepared, done time.Duration) {
	t := c.t
	t.Helper()
	c.orders++
	before, entry, err := c.recs.Order(t.Context(), "catalog")
	if err != nil {
		t.Fatal(err)
	}
	o, err := rollout.NewRollout(fmt.Sprint("order-", c.orders), "catalog", version, plan, before, true)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := c.recs.SetOrder(t.Context(), o, entry); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	failed := 0
	err = c.recs.WatchChannels(ctx, []string{"catalog"}, "", func(change records.Change) {
		p := change.Progress
		if p == nil || !p.Of(o) {
			return
		}
		failed = len(p.Failed)
		if p.Open > 0 && prepared == 0 {
			prepared = time.Since(began)
		}
		if p.Phase == rollout.Done {
			done = time.Since(began)
			cancel()
		}
	})
	if done == 0 || failed > 0 {
		t.Fatalf("not done: %d failed: %v", failed, err)
	}
	return prepared, done
}

func (c *controlPlane) say(format string, args ...any) {
	if *scaleNodes != "" {
		fmt.Printf("%5d %s\n", c.n, fmt.Sprintf(format, args...))
	}
}
