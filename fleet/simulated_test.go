//go:build linux

package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/records"
	"hotswap/internal/scale"
)

// scaleEnv has what a process of the measurement is: the engine, or so many nodes.
const scaleEnv = "HOTSWAP_SCALE"

// part is a process of the measurement.
type part struct {
	EngineDir  string
	EnginePort int
	Engine     string
	Prefix     string // of the nodes' names
	From, Upto int
}

// scaleProcess is the main of those processes.
func scaleProcess(text string) error {
	var p part
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return err
	}
	if p.EngineDir != "" {
		return scale.ServeEngine(p.EngineDir, p.EnginePort, os.Stdin, os.Stdout)
	}
	return p.nodes()
}

// nodes are nodes without databases, until the standard input ends.
func (p part) nodes() error {
	var all []*Node
	for i := p.From; i < p.Upto; i++ {
		n, err := simulated(Config{Engine: p.Engine, Node: fmt.Sprintf("%s%05d", p.Prefix, i), Labels: map[string]string{"role": "web"},
			Databases: map[string]string{"catalog": "/var/lib/app/catalog.sqlite3"}})
		if err != nil {
			return err
		}
		all = append(all, n)
	}
	for _, n := range all {
		for !n.databases["catalog"].caught() {
			time.Sleep(10 * time.Millisecond)
		}
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	var closing sync.WaitGroup
	for _, n := range all {
		closing.Go(func() { n.Close() })
	}
	closing.Wait()
	return nil
}

func (d *database) caught() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.view.caught && d.known
}

// simulated is a node whose databases are none: it says that it has what it should have.
func simulated(cfg Config) (*Node, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	e, err := engine.Connect(context.Background(), cfg.connection())
	if err != nil {
		return nil, err
	}
	cfg.settle = time.Second // they were all there before
	n := newNode(cfg, e)
	for channel, path := range cfg.Databases {
		d := newDatabase(n, channel, path)
		d.work = d.pretend
		n.databases[channel] = d
	}
	n.done.Go(n.run)
	return n, nil
}

// pretend goes through the phases of a task, so that as much is said of it.
func (d *database) pretend(ctx context.Context, t task) error {
	through := func(phases ...records.Phase) {
		for _, phase := range phases {
			d.phase(phase)
			sleep(ctx, 2*reportRest)
		}
	}
	switch t.do {
	case look:
		d.mu.Lock()
		d.known = true
		d.mu.Unlock()
		d.change(func(s *records.Database) { s.Have, s.Healthy = 1, 1 })
	case prepare:
		through(records.Fetching, records.Checking)
		d.change(func(s *records.Database) { s.Prepared, s.Phase = t.version, records.Prepared })
	case bring:
		through(records.Swapping)
		d.change(func(s *records.Database) {
			s.Have, s.Healthy, s.Prepared, s.Phase = t.version, t.version, 0, records.Idle
		})
		d.writeDown(ctx, records.Having{Version: t.version, Tag: "0123456789abcdef0123456789abcdef"})
	case drop:
		d.change(func(s *records.Database) { s.Prepared = 0 })
	case ask:
		d.change(func(s *records.Database) { s.Healthy = t.version })
	}
	return nil
}
