//go:build linux && (amd64 || arm64)

package together

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/seccomp"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

var every = flag.Int("every", 150, "every how many system calls of a push through two processes one of them is killed; 1 for each")

func init() {
	const socket = 3 // the first of exec.Cmd's ExtraFiles
	installFilter = func() error { return seccomp.Install(socket) }
}

// scene is a push through two processes, or a move of both to a file that something else
// put at the path. One of the two is to be killed.
type scene struct {
	journal string
	method  swapper.Method
	pusher  bool // the one that pushes, else its peer
	moved   bool // nobody pushes; which one leads is left to chance
}

func (s scene) String() string {
	if s.moved {
		return fmt.Sprintf("mv-%s", s.journal)
	}
	who := "peer"
	if s.pusher {
		who = "pusher"
	}
	return fmt.Sprintf("%s-%s-%s", s.method, s.journal, who)
}

var scenes = []scene{
	{"WAL", swapper.MethodAuto, true, false}, {"WAL", swapper.MethodAuto, false, false},
	{"DELETE", swapper.MethodAuto, true, false}, {"DELETE", swapper.MethodAuto, false, false},
	{"WAL", swapper.MethodInPlace, false, false}, {"WAL", swapper.MethodInPlace, true, false},
	{"DELETE", swapper.MethodInPlace, false, false}, {"DELETE", swapper.MethodInPlace, true, false},
	{"WAL", "", false, true}, {"DELETE", "", false, true},
}

// TestKilledAtAnyCall kills the pusher, or its peer, before each system call that it makes
// from the first message on, until the push has ended. The other one is at work meanwhile.
func TestKilledAtAnyCall(t *testing.T) {
	t.Parallel()
	for i, s := range scenes {
		t.Run(s.String(), func(t *testing.T) {
			if *every > 50 {
				testenv.Every(t, i, len(scenes))
			}
			t.Parallel()
			w := newWorld(t, s.journal)
			w.add(settings{Moved: s.moved})
			// How many calls there are is not the same in every run.
			enough := 3
			if *every > 50 {
				enough = 1
			}
			killed, survived, most := 0, 0, 0
			for point := 1; survived < enough && !t.Failed(); point += *every {
				calls, was := w.killAt(s, point)
				if most = max(most, calls); was {
					killed++
				} else {
					survived++
				}
			}
			// A peer of a push in place has the least to do: about 40 calls.
			if most < 20 || killed == 0 {
				t.Errorf("%d calls, %d kills", most, killed)
			}
			t.Logf("%d calls, %d kills, %d of them after the new one was live", most, killed, len(w.kept)-survived)
			w.end()
			w.check()
			if w.longest > 10*time.Second {
				t.Errorf("a call of the other took %v", w.longest)
			}
		})
	}
}

// killAt has a process that is there for it killed at a call, counted from 1.
func (w *world) killAt(s scene, point int) (calls int, killed bool) {
	w.t.Helper()
	other := w.all[0]
	victim, v := w.victim(s, point)
	defer victim.End()
	pusher := other
	if s.pusher {
		pusher = victim
	}
	v.armed.Store(true)
	if s.moved {
		w.move()
		other.arrives()
		testenv.Until(w.t, "it has arrived or is dead", func() bool {
			io.WriteString(victim.In, "look\n")
			return victim.Out.Scan() && strings.HasPrefix(victim.Out.Text(), w.live) || v.killed.Load()
		})
		v.over.Store(true)
		return int(v.calls.Load()), v.killed.Load()
	}
	stamp := pusher.begin(order{Method: s.method, Timeout: 20 * time.Second})
	var out outcome
	said := pusher.Out.Scan() && json.Unmarshal(pusher.Out.Bytes(), &out) == nil
	v.over.Store(true)
	killed = v.killed.Load()
	what := fmt.Sprintf("a kill at call %d", point)
	if !said && !(s.pusher && killed) {
		w.t.Fatalf("the pusher is gone: %s", what)
	}
	if said && out.Err != "" && !out.Busy {
		w.t.Errorf("%s: the push: %s", what, out.Err)
	}
	os.Remove(w.version(stamp))
	if !killed {
		w.all = append(w.all, victim)
	} else {
		victim.End()
	}
	w.settle(what, stamp, said, out)
	w.all = w.all[:1]
	return int(v.calls.Load()), killed
}

// supervisor lets a process make its calls up to a point.
type supervisor struct {
	seccomp.Listener
	sealed      bool     // of a pusher by rename: its new file has been synced; what comes before is the same without peers
	first       []uint64 // the calls with which the first message comes after that
	point       int64
	armed, over atomic.Bool
	killed      atomic.Bool
	calls       atomic.Int64
}

// victim starts a process whose calls are supervised.
func (w *world) victim(s scene, point int) (*child, *supervisor) {
	w.t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "theirs")
	cmd := exec.Command(os.Args[0])
	cmd.ExtraFiles = []*os.File{theirs}
	c := w.startAs(settings{Idle: true, Conns: 2}, cmd)
	theirs.Close()
	testenv.Until(w.t, "it has written", func() bool { return c.tell("exec UPDATE meta SET g=g") == "<nil>" })
	v := &supervisor{sealed: true, first: []uint64{unix.SYS_ACCEPT4}, point: int64(point)}
	switch {
	case s.pusher:
		v.sealed, v.first = s.method == swapper.MethodInPlace, []uint64{unix.SYS_CONNECT}
	case s.moved:
		v.first = append(v.first, unix.SYS_CONNECT)
	}
	c.send("filter")
	v.Listener, err = seccomp.Accept(pair[0])
	unix.Close(pair[0])
	if err != nil {
		testenv.Skip(w.t, "system calls can't be supervised here: %v: %s", err, c.Line())
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if err := v.serve(c.Process); err != nil {
			w.t.Error(err)
		}
	}()
	w.t.Cleanup(func() {
		c.End()
		<-gone
		unix.Close(v.FD)
	})
	if got := c.Line(); got != "<nil>" {
		w.t.Fatal(got)
	}
	return c, v
}

func (v *supervisor) serve(process *os.Process) error {
	begun := false
	for {
		n, ok, err := v.Next()
		if !ok || err != nil {
			return err
		}
		nr := uint64(n.Nr)
		v.sealed = v.sealed || v.armed.Load() && nr == unix.SYS_FSYNC
		begun = begun || v.armed.Load() && v.sealed && slices.Contains(v.first, nr)
		if begun && !v.over.Load() && v.calls.Add(1) == v.point {
			v.killed.Store(true)
			return process.Kill() // the call is never answered
		}
		if err := v.Proceed(n); err != nil {
			return err
		}
	}
}
