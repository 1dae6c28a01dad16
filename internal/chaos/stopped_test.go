//go:build linux

package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"hotswap/internal/engine/enginetest"
	"hotswap/internal/fleetapp"
	"hotswap/internal/rollout"
	"hotswap/internal/testenv"
)

var stopped = flag.Duration("stopped", 0, "how long nodes are stopped in each phase of a rollout")

// stops are the moments of a rollout at which nodes are stopped, and which nodes.
var stops = []struct {
	phase rollout.Phase
	who   string
}{
	{ordered, "each"},
	{rollout.Preparing, "first"}, {rollout.Preparing, "last"}, {rollout.Preparing, "controller"},
	{rollout.Swapping, "first"}, {rollout.Swapping, "last"}, {rollout.Swapping, "controller"},
	{rollout.Soaking, "first"}, {rollout.Soaking, "last"}, {rollout.Soaking, "controller"},
	{rollout.Awaiting, "first"}, {rollout.Awaiting, "last"}, {rollout.Awaiting, "controller"},
	{rollout.Done, "first"}, {rollout.Done, "last"}, {rollout.Done, "controller"},
}

// ordered is the moment at which an order is written: the nodes are stopped one after another
// while they fetch, check and swap.
const ordered rollout.Phase = "ordered"

// TestANodeThatWasStoppedComesToWhatIsOrderedNow: what it was told, and was about to do, may have
// been taken back meanwhile. With -stopped it is tried in each phase, and at the same time.
func TestANodeThatWasStoppedComesToWhatIsOrderedNow(t *testing.T) {
	all := stops
	if *stopped == 0 {
		testenv.Long(t)
		*stopped, all = 2*time.Second, stops[:1]
	}
	for _, stop := range all {
		for _, withdrawn := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%s/withdrawn=%v", stop.phase, stop.who, withdrawn), func(t *testing.T) {
				t.Parallel()
				newStopping(t).run(stop.phase, stop.who, withdrawn)
			})
		}
	}
}

// stopping is a fleet of four on one server.
type stopping struct {
	*world
	o     *operator
	nodes []*member
}

func newStopping(t *testing.T) *stopping {
	port := enginetest.Start(t).Addr().(*net.TCPAddr).Port
	c := &cluster{t: t, ports: []int{port}}
	w := newWorld(t, rand.Uint64(), c)
	s := &stopping{world: w, o: &operator{w: w}}
	dir := t.TempDir()
	for i := range 4 {
		name := fmt.Sprintf("node-%02d", i)
		m := &member{w: w, name: name, path: filepath.Join(dir, name, "catalog.sqlite3"), proxy: startProxy(t, c.ports), think: time.Second / 2}
		if err := errors.Join(os.MkdirAll(filepath.Dir(m.path), 0o755), m.start()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(m.kill)
		s.nodes = append(s.nodes, m)
	}
	return s
}

// next publishes the next content, and orders it.
func (s *stopping) next(plan rollout.Plan) (content uint64) {
	s.t.Helper()
	number, ok := s.o.publish(false, false)
	if !ok {
		s.t.Fatal("nothing could be published")
	}
	s.try("roll out", func(context.Context) error { return s.o.rollout(number, plan) })
	return s.o.content
}

// progress waits until the progress of the last order is so.
func (s *stopping) progress(what string, so func(rollout.Progress) bool) {
	s.t.Helper()
	id := fmt.Sprint("order-", s.o.orders)
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(2 * time.Millisecond) {
		p, _, err := s.recs.Progress(s.t.Context(), fleetapp.Channel)
		if err == nil && p != nil && p.Order == id && so(*p) {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: %+v: %v", what, p, err)
		}
	}
}

// opened waits until all waves are open, or for that long.
func (s *stopping) opened(most time.Duration) {
	for deadline := time.Now().Add(most); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		p, _, err := s.recs.Progress(s.t.Context(), fleetapp.Channel)
		if err == nil && p != nil && p.Open > 0 && p.Open == len(p.Waves) {
			return
		}
	}
}

// run stops nodes in a phase of the third rollout, and has them go on.
func (s *stopping) run(phase rollout.Phase, who string, withdrawn bool) {
	t := s.t
	done := func(p rollout.Progress) bool { return p.Phase == rollout.Done }
	s.next(rollout.Plan{})
	s.settle(s.nodes, s.o.content)
	s.progress("the first is done", done)
	s.next(rollout.Plan{})
	s.progress("the second is done", done)
	s.settle(s.nodes, s.o.content)
	watching, stopWatching := context.WithCancel(t.Context())
	defer stopWatching()
	go s.watch(watching)

	third := s.next(rollout.Plan{Canary: 1, Waves: []int{50}, Soak: time.Second, Timeout: 20 * time.Second, MaxFailed: len(s.nodes), Approve: phase == rollout.Awaiting})
	var whom []*member
	var pauses sync.WaitGroup
	if phase != ordered {
		s.progress("it is "+string(phase), func(p rollout.Progress) bool { return p.Phase == phase })
	}
	switch who {
	case "each":
		whom = s.nodes
	case "first":
		whom = s.nodes[:1]
	case "last":
		whom = s.nodes[3:]
	case "controller":
		lease, _, err := s.recs.Lease(t.Context())
		if err != nil || lease == nil {
			t.Fatalf("%+v: %v", lease, err)
		}
		whom = slices.DeleteFunc(slices.Clone(s.nodes), func(m *member) bool { return m.name != lease.Node })
	}
	had := map[*member]uint64{}
	for i, m := range whom {
		if phase == ordered {
			time.Sleep(time.Duration(rand.IntN(40*(1+i))) * time.Millisecond)
		}
		m.running().Signal(syscall.SIGSTOP)
		time.Sleep(50 * time.Millisecond) // until what it has said has come
		m.mu.Lock()
		had[m] = m.last.Status.Databases[fleetapp.Channel].Swaps
		t.Logf("stopped: %s, prepared %d", m.name, m.last.Status.Databases[fleetapp.Channel].Prepared)
		m.mu.Unlock()
	}
	pauses.Go(func() { time.Sleep(*stopped) })
	if withdrawn {
		s.opened(*stopped / 2) // to those that are stopped, too
		s.try("roll back", func(context.Context) error {
			s.o.orders++
			return s.o.order(func(before *rollout.Order, _ bool) (rollout.Order, error) {
				return rollout.NewRollback(fmt.Sprint("order-", s.o.orders), 0, *before)
			})
		})
	}
	pauses.Wait()
	before := map[*member]uint64{}
	for _, m := range whom {
		m.mu.Lock()
		before[m] = m.seen
		m.mu.Unlock()
		m.running().Signal(syscall.SIGCONT)
	}
	if withdrawn {
		s.settle(s.nodes, third-1)
		for m, content := range before {
			m.mu.Lock()
			if swaps := m.last.Status.Databases[fleetapp.Channel].Swaps - had[m]; content != third && swaps > 0 {
				s.mu.Lock()
				s.faults = append(s.faults, fmt.Sprintf("%s went on with content %d, and has swapped %d times: to one that was withdrawn", m.name, content, swaps))
				s.mu.Unlock()
			}
			m.mu.Unlock()
		}
	}
	s.next(rollout.Plan{MaxFailed: len(s.nodes)})
	s.settle(s.nodes, s.o.content)
	s.early()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fault := range s.faults {
		t.Error(fault)
	}
}
