package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"hotswap/internal/fleetapp"
)

// demoNode is a program of the fleet, in one process after another.
type demoNode struct {
	name, path string
	began      time.Time // of the demo
	process    *fleetapp.Process

	mu      sync.Mutex // guards what follows
	moves   []demoMove
	last    fleetapp.Report
	before  fleetapp.Report // the sums of the processes that are gone
	changed chan struct{}   // closed at the next report
}

// demoMove is when a node was seen to have another version; 0 is none, when it was killed.
type demoMove struct {
	at      time.Duration
	version uint64
}

// reported is told of what the program says.
func (n *demoNode) reported(at time.Time, r fleetapp.Report) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = r
	if r.Version != 0 && (len(n.moves) == 0 || n.moves[len(n.moves)-1].version != r.Version) {
		n.moves = append(n.moves, demoMove{at.Sub(n.began), r.Version})
	}
	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
}

// kill ends the process, if it runs.
func (n *demoNode) kill() {
	if n.process == nil {
		return
	}
	n.process.Kill()
	n.ended(n.process.Last())
	n.mu.Lock()
	n.moves = append(n.moves, demoMove{time.Since(n.began), 0})
	n.mu.Unlock()
}

// ended adds up what a process has done.
func (n *demoNode) ended(r fleetapp.Report) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.process = nil
	n.before.Served += r.Served
	n.before.Failed += r.Failed
	n.before.Longest = max(n.before.Longest, r.Longest)
	if r.Wrong != "" {
		n.before.Wrong = r.Wrong
	}
}

// expectPatience is how long a node may take to have a version.
const expectPatience = 20 * time.Second

// expect waits until nodes have read a version.
func (d *fleetDemo) expect(version uint64, nodes ...*demoNode) error {
	timeout := time.NewTimer(expectPatience)
	defer timeout.Stop()
	for _, n := range nodes {
		for {
			n.mu.Lock()
			now := n.last
			if n.changed == nil {
				n.changed = make(chan struct{})
			}
			changed := n.changed
			n.mu.Unlock()
			if now.Version == version && now.Status.Databases[fleetapp.Channel].Version == version {
				break
			}
			select {
			case <-changed:
			case <-timeout.C:
				return fmt.Errorf("%s reads catalog@%d after %v, and not catalog@%d", n.name, now.Version, expectPatience, version)
			}
		}
	}
	return nil
}

// verdict ends the programs, and shows who had what when.
func (d *fleetDemo) verdict() error {
	d.line("")
	d.line(d.style(styleBold, "Who read which version since when, in seconds:"))
	var total fleetapp.Report
	var errs []error
	for _, n := range d.nodes {
		if n.process != nil {
			last, err := n.process.End()
			n.ended(last)
			errs = append(errs, err)
		}
		var moves []string
		for _, m := range n.moves {
			what := "killed"
			if m.version != 0 {
				what = fmt.Sprintf("@%d", m.version)
			}
			moves = append(moves, fmt.Sprintf("%5.1f %-2s", m.at.Seconds(), what))
		}
		d.line(fmt.Sprintf("  %s  %s", n.name, strings.TrimRight(strings.Join(moves, "  "), " ")))
		total.Served += n.before.Served
		total.Failed += n.before.Failed
		total.Longest = max(total.Longest, n.before.Longest)
		if n.before.Wrong != "" {
			errs = append(errs, fmt.Errorf("%s: %s", n.name, n.before.Wrong))
		}
	}
	d.line("")
	d.result("%s calls served, %s failed; each read one whole version; the longest: %s", demoNumber(total.Served), demoNumber(total.Failed),
		demoDuration(total.Longest))
	d.result("done in %s", demoDuration(time.Since(d.began)))
	if total.Served == 0 {
		errs = append(errs, errors.New("no call was served"))
	}
	return errors.Join(errs...)
}
