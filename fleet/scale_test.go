//go:build linux

package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/records"
	"hotswap/internal/rollout"
	"hotswap/internal/scale"
)

// A node prepares and swaps at once here: what is measured is what the engine, the controller
// and the nodes have to tell one another.
var (
	scaleNodes = flag.String("scale", "", "measure the control plane with so many nodes, with commas between")
	scaleIdle  = flag.Duration("scale-idle", 10*time.Second, "how long it is watched at rest")
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

// TestTheControlPlane has nodes without databases follow orders. With -scale it prints what
// that takes.
func TestTheControlPlane(t *testing.T) {
	t.Parallel()
	if *scaleNodes == "" {
		few, many := &controlPlane{t: t, n: 8, prefix: strings.Repeat("n", 50)}, &controlPlane{t: t, n: 32, prefix: strings.Repeat("n", 50)}
		a, b := float64(few.measure(0))/8, float64(many.measure(0))/32
		// The names of all nodes in everything that each is told would make it 2.5 times as much.
		if b > 1.5*a {
			t.Errorf("a node of 8 gets %.0f bytes in two rollouts, and one of 32 %.0f", a, b)
		}
		return
	}
	for text := range strings.SplitSeq(*scaleNodes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(text, func(t *testing.T) { (&controlPlane{t: t, n: n, prefix: "node-"}).measure(*scaleIdle) })
	}
}

// measure has them rest, and then follow two orders. It returns the bytes that those took.
func (c *controlPlane) measure(rest time.Duration) (bytes int64) {
	began := time.Now()
	c.start()
	last := c.now()
	c.say("joined in %.1f s: %d connections, %d subscriptions, %d consumers", time.Since(began).Seconds(),
		last.traffic.Connections, last.traffic.Subscriptions, last.traffic.Consumers)
	if rest > 0 {
		time.Sleep(records.NodeTTL) // until what joining has left to do is done
		last = c.now()
		time.Sleep(rest)
		last = c.row("rest", last, "")
	}
	bytes = -last.traffic.OutBytes
	for i, plan := range []rollout.Plan{{}, {Canary: 1, Waves: []int{10, 50}}} {
		version := uint64(2 + i)
		prepared, done := c.rollout(version, plan)
		last = c.row(fmt.Sprintf("%d waves", len(plan.Waves)+plan.Canary+1), last,
			fmt.Sprintf("prepared %.2f s, swapped %.2f s later", prepared.Seconds(), (done-prepared).Seconds()))
	}
	bytes += last.traffic.OutBytes
	read := time.Now()
	all, err := c.recs.Read(c.t.Context())
	if err != nil || len(all.Nodes) != c.n {
		c.t.Errorf("%d nodes are read of %d: %v", len(all.Nodes), c.n, err)
	}
	c.say("status in %.3f s", time.Since(read).Seconds())
	if rest > 0 {
		c.loseController()
		c.restartEngine()
	}
	return bytes
}

// loseController kills the controller, and says how soon another node is.
func (c *controlPlane) loseController() {
	before, _, err := c.recs.Lease(c.t.Context())
	if err != nil || before == nil {
		c.t.Fatalf("%+v: %v", before, err)
	}
	began := time.Now()
	c.procs[0].Process.Kill()
	eventually(c.t, "there is another controller", func() bool {
		now, _, err := c.recs.Lease(c.t.Context())
		return err == nil && now != nil && now.Instance != before.Instance
	})
	c.say("another controller after %.2f s", time.Since(began).Seconds())
}

// restartEngine stops the engine, starts it again, and says how soon all nodes are back.
func (c *controlPlane) restartEngine() {
	t := c.t
	if err := c.engine.Stop(); err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(c.engine.URL[strings.LastIndexByte(c.engine.URL, ':')+1:])
	if err != nil {
		t.Fatal(err)
	}
	if c.engine, err = scale.StartEngine(c.command(part{EngineDir: c.dir, EnginePort: port})); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	eventually(t, "all nodes are back", func() bool {
		all, err := c.recs.Read(t.Context())
		if err != nil {
			return false
		}
		back := 0
		for _, n := range all.Nodes {
			if n.At.After(began) {
				back++
			}
		}
		return back == c.n-1
	})
	c.say("all back %.2f s after the engine was", time.Since(began).Seconds())
}

func (c *controlPlane) say(format string, args ...any) {
	if *scaleNodes != "" {
		fmt.Printf("%5d %s\n", c.n, fmt.Sprintf(format, args...))
	}
}
