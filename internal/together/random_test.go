package together

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotswap/internal/testenv"
	"hotswap/swapper"
)

var (
	pushes    = flag.Int("pushes", testenv.Sample(2, 5), "how many pushes through random processes, for each journal mode")
	kills     = flag.Int("kills", testenv.Sample(1, 2), "how many disturbed pushes, for each journal mode")
	callEvery = flag.Duration("call-every", time.Duration(testenv.Sample(60, 20))*time.Millisecond, "the time between the calls of each loop of a program")
	seed      = flag.Uint64("seed", 1, "of the random choices")
)

func TestTogether(t *testing.T) {
	t.Parallel()
	for _, journal := range journals {
		t.Run(journal, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(*seed, 0))
			w := newWorld(t, journal)
			for i := range 3 {
				w.add(settings{Worker: i == 2})
			}
			methods := map[swapper.Method]int{}
			for i := range *pushes {
				c := w.all[random.IntN(len(w.all))]
				end := func() {}
				if i%2 == 1 {
					stranger := w.stranger()
					end = func() { w.leaves(stranger) }
				}
				out := c.mustPush(order{})
				end()
				methods[out.Report.Method]++
				if i%2 == 0 && out.Report.Method == swapper.MethodInPlace {
					t.Log("in place: ", out.Report.InPlaceBecause)
				}
			}
			t.Log(methods)
			w.end()
			w.check()
		})
	}
}

func TestKills(t *testing.T) {
	t.Parallel()
	for i, journal := range journals {
		t.Run(journal, func(t *testing.T) {
			testenv.Every(t, i+1, 2)
			t.Parallel()
			random := rand.New(rand.NewPCG(*seed, 1))
			w := newWorld(t, journal)
			for i := range 3 {
				w.add(settings{Worker: i == 2})
			}
			counts := map[string]int{}
			for i := range *kills {
				began := time.Now()
				what := w.disturbed(random, counts)
				t.Logf("%d: %s: %v", i+1, what, time.Since(began))
				if t.Failed() {
					break
				}
				for range 2 {
					w.all[random.IntN(len(w.all))].mustPush(order{})
				}
			}
			t.Log(counts)
			w.end()
			w.check()
		})
	}
}

// disturbed is a push with something that happens to a process meanwhile.
func (w *world) disturbed(random *rand.Rand, counts map[string]int) (what string) {
	w.t.Helper()
	pusher, other := random.IntN(3), 0
	for other = random.IntN(3); other == pusher; other = random.IntN(3) {
	}
	p, o := w.all[pusher], w.all[other]
	stamp := p.begin(order{Timeout: 10 * time.Second})
	// Most of a push is over before the gates close; which moment is met is left to chance.
	time.Sleep(time.Duration(random.IntN(120)) * time.Millisecond)
	what = []string{"kill a peer", "kill the pusher", "stop a peer", "stop the pusher", "start one"}[random.IntN(5)]
	counts[what]++
	died := -1
	switch what {
	case "kill a peer":
		o.Process.Kill()
		died = other
	case "kill the pusher":
		p.Process.Kill()
		died = pusher
	case "stop a peer", "stop the pusher":
		c := o
		if what == "stop the pusher" {
			c = p
		}
		c.Process.Signal(syscall.SIGSTOP)
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
		c.Process.Signal(syscall.SIGCONT)
	case "start one":
		last := w.start(settings{})
		defer func() {
			if err := last.End(); err != nil {
				w.t.Error(err)
			}
		}()
	}
	var out outcome
	said := p.Out.Scan() && json.Unmarshal(p.Out.Bytes(), &out) == nil
	if !said && died != pusher {
		w.t.Fatalf("the pusher is gone: %s", what)
	}
	if said && out.Err != "" && !out.Busy {
		w.t.Errorf("%s: the push: %s", what, out.Err)
	}
	os.Remove(w.version(stamp))
	if died >= 0 {
		w.all[died].End()
		w.all[died] = w.start(settings{Worker: w.all[died].Worker})
		w.all[died].fresh = true
	}
	w.settle(what, stamp, said, out)
	return what
}

// settle finds out which version is live after a disturbed push, and demands that all
// programs agree on that.
func (w *world) settle(what, pushed string, said bool, out outcome) {
	w.t.Helper()
	began := time.Now()
	var stamps []string
	testenv.Eventually(w.t, func() error {
		stamps = nil
		for _, c := range w.all {
			stamps = append(stamps, strings.Fields(c.tell("look"))[0])
		}
		if slices.Min(stamps) != slices.Max(stamps) {
			return fmt.Errorf("after %s the programs see %v", what, stamps)
		}
		return nil
	})
	if took := time.Since(began); took > time.Second {
		w.t.Logf("after %s it took %v until all agreed", what, took)
	}
	live := stamps[0]
	switch {
	case live != w.live && live != pushed:
		w.t.Fatalf("after %s %s is live; it was %s, and %s was pushed", what, live, w.live, pushed)
	case said && out.Report.Swapped != (live == pushed):
		w.t.Errorf("after %s %s is live, and the push of %s says: swapped %t, %s", what, live, pushed, out.Report.Swapped, out.Err)
	}
	if _, err := swapper.RemoveOrphans(w.path); err != nil {
		w.t.Error(err)
	}
	if live == pushed {
		w.keep()
		w.live = live
	} else if _, err := os.Lstat(w.path + "~"); !errors.Is(err, os.ErrNotExist) {
		os.Remove(w.path + "~") // of a push in place that did not commit
	}
	// Whoever was away may be told later, but is told of a swap once. If the pusher is gone,
	// the others may begin a generation for nothing.
	for _, c := range w.all {
		var stamp string
		var generation, swaps int
		testenv.Eventually(w.t, func() error {
			fmt.Sscan(c.tell("look"), &stamp, &generation, &swaps)
			if generation != swaps+1 {
				return fmt.Errorf("generation %d, and OnSwap ran %d times", generation, swaps)
			}
			if said && out.Report.Swapped && !c.fresh && swaps != c.told+1 {
				return fmt.Errorf("after %s process %d was told of %d swaps; want %d", what, c.Process.Pid, swaps, c.told+1)
			}
			return nil
		})
		c.told, c.fresh = swaps, false
	}
}
