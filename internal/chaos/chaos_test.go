//go:build linux

package chaos

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "gocloud.dev/blob/fileblob"

	_ "hotswap/fleet/objects"
	"hotswap/internal/fleetapp"
	"hotswap/internal/rollout"
	"hotswap/internal/testenv"
)

var (
	lasts = flag.Duration("chaos", 0, "how long the fleet is disturbed")
	seed  = flag.Uint64("seed", uint64(time.Now().UnixNano()), "what is done to it")
)

const fleetSize = 12

// calmWithin is how soon after the end all nodes have the last version.
const calmWithin = time.Minute

func TestMain(m *testing.M) {
	if argument := os.Getenv(nodeEnv); argument != "" {
		if err := fleetapp.Run(context.Background(), argument, os.Stdin, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if argument := os.Getenv(publisherEnv); argument != "" {
		publishAlone(argument)
		return
	}
	if code, ran := testenv.OwnProcesses(); ran {
		os.Exit(code)
	}
	testenv.NoPeers()
	os.Exit(m.Run())
}

func TestEachNodeIsAlwaysOnOneWholeVersionThatWasRolledOutToIt(t *testing.T) {
	if *lasts == 0 {
		testenv.Long(t)
		*lasts = 20 * time.Second
	}
	t.Logf("-seed %d", *seed)
	c := startCluster(t)
	w := newWorld(t, *seed, c)
	o := &operator{w: w}
	number, ok := o.publish(false, false)
	if !ok {
		t.Fatal("nothing could be published")
	}
	watching, stopWatching := context.WithCancel(t.Context())
	var watch sync.WaitGroup
	watch.Go(func() { w.watch(watching) })
	defer watch.Wait()
	defer stopWatching()
	dir := t.TempDir()
	var nodes []*member
	for i := range fleetSize {
		m := w.newMember(t, fmt.Sprintf("node-%02d", i), dir, c)
		if err := m.start(); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, m)
	}
	w.try("roll out the first version", func(context.Context) error { return o.rollout(number, rollout.Plan{MaxFailed: fleetSize}) })

	w.settle(nodes, o.content)

	d := &disturber{w: w, c: c, nodes: nodes}
	end := time.Now().Add(*lasts)
	for next := time.Now(); time.Now().Before(end) && !w.failed(); {
		d.disturb()
		if time.Now().After(next) {
			o.work()
			next = time.Now().Add(time.Duration(3000+w.rng.IntN(6000)) * time.Millisecond)
		}
		time.Sleep(time.Duration(300+w.rng.IntN(1200)) * time.Millisecond)
	}
	d.calm()
	for number, ok = o.publish(false, false); !ok && !w.failed(); number, ok = o.publish(false, false) {
	}
	w.try("roll out the last version", func(context.Context) error { return o.rollout(number, rollout.Plan{MaxFailed: fleetSize}) })
	w.settle(nodes, o.content)
	time.Sleep(time.Second) // for what is still told of the waves
	w.early()
	w.verdict(nodes)
}

func (w *world) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.faults) > 0
}

// settle waits until all nodes read the last content.
func (w *world) settle(nodes []*member, content uint64) {
	began := time.Now()
	for {
		missing := 0
		for _, m := range nodes {
			if p := m.running(); p == nil || p.Last().Version != content {
				missing++
			}
		}
		if missing == 0 {
			w.t.Logf("all have content %d after %v", content, time.Since(began).Round(time.Millisecond))
			return
		}
		if time.Since(began) > calmWithin {
			for _, m := range nodes {
				w.t.Log(m)
			}
			p, _, err := w.recs.Progress(w.t.Context(), fleetapp.Channel)
			w.wrong("%d nodes don't read content %d after %v: %+v %v", missing, content, calmWithin, p, err)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (w *world) verdict(nodes []*member) {
	reads := uint64(0)
	for _, m := range nodes {
		m.mu.Lock()
		reads += m.reads + m.last.Served
		m.mu.Unlock()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t.Logf("%d reads, %d moves to another version; done: %v", reads, len(w.moves), w.counts)
	if len(w.faults) > 0 {
		w.t.Errorf("%s", strings.Join(w.faults[:min(len(w.faults), 20)], "\n"))
	}
	if reads == 0 || len(w.moves) < fleetSize {
		w.t.Error("nothing was going on")
	}
}

// disturber does what may happen to nodes and servers.
type disturber struct {
	w     *world
	c     *cluster
	nodes []*member
	work  sync.WaitGroup
	down  sync.Mutex // held while a server is gone
}

// disturb does one thing, which ends by itself.
func (d *disturber) disturb() {
	w := d.w
	m := d.nodes[w.rng.IntN(len(d.nodes))]
	m.mu.Lock()
	busy := m.busy
	m.busy = true
	m.mu.Unlock()
	if busy {
		return
	}
	pause := time.Duration(200+w.rng.IntN(4000)) * time.Millisecond
	what, wipe, server, left := w.rng.IntN(12), w.rng.IntN(4) == 0, w.rng.IntN(servers), w.rng.Int64N(8<<20)
	d.work.Go(func() {
		defer func() { m.mu.Lock(); m.busy = false; m.mu.Unlock() }()
		switch {
		case what < 4:
			w.did("killed")
			m.kill()
			if wipe {
				w.did("disk lost")
				m.wipe()
			}
			time.Sleep(pause)
			if err := m.start(); err != nil {
				w.wrong("start %s: %v", m.name, err)
			}
		case what < 6:
			w.did("stopped")
			m.running().Signal(syscall.SIGSTOP)
			time.Sleep(pause)
			m.running().Signal(syscall.SIGCONT)
		case what < 9:
			w.did("cut off")
			m.proxy.set(true)
			time.Sleep(3 * pause)
			m.proxy.set(false)
		case what < 11:
			if m.fill(left) {
				w.did("disk full")
				time.Sleep(3 * pause)
				m.unfill()
			}
		case d.down.TryLock():
			defer d.down.Unlock()
			w.did("server gone")
			d.c.stop(server)
			time.Sleep(pause)
			if err := d.c.start(server); err != nil {
				w.wrong("start a server: %v", err)
			}
		}
	})
}

// calm waits until all that was done to them has ended.
func (d *disturber) calm() { d.work.Wait() }
