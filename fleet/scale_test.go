//go:build linux

package fleet

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

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
