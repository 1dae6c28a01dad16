package together

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotswap/internal/fileid"
	"hotswap/internal/peers"
	"hotswap/internal/testenv"
)

var moves = flag.Int("moves", testenv.Sample(2, 4), "how many files are moved to the path, for each journal mode")

// move puts the next version at the path as mv does, and keeps the old one.
func (w *world) move() {
	w.t.Helper()
	stamp := w.make()
	if err := os.Link(w.path, w.version(w.live)); err != nil {
		w.t.Fatal(err)
	}
	w.put(stamp)
}

func (w *world) put(stamp string) {
	w.t.Helper()
	if err := os.Rename(w.version(stamp), w.path); err != nil {
		w.t.Fatal(err)
	}
	w.kept = append(w.kept, w.live)
	w.live = stamp
	for _, c := range w.all {
		c.told++
	}
}

// arrives waits until c uses the live version, and was told of it.
func (c *child) arrives() {
	c.w.t.Helper()
	want := fmt.Sprint(c.w.live, " ", c.told+1, " ", c.told)
	testenv.Eventually(c.w.t, func() error {
		if got := c.tell("look"); got != want {
			return fmt.Errorf("%s sees %s; want %s", c.process(), got, want)
		}
		return nil
	})
}

func TestAFileThatIsMovedThereIsAdoptedTogether(t *testing.T) {
	t.Parallel()
	for _, journal := range journals {
		t.Run(journal, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(*seed, 2))
			w := newWorld(t, journal)
			for i := range 3 {
				w.add(settings{Worker: i == 2, Moved: true})
			}
			for i := range *moves {
				time.Sleep(time.Duration(random.IntN(500)) * time.Millisecond) // anywhere between two looks
				w.move()
				for _, c := range w.all {
					c.arrives()
				}
				if i%3 == 1 { // and a push goes on from there
					w.all[random.IntN(len(w.all))].mustPush(order{})
				}
			}
			w.end()
			w.check()
		})
	}
}

func TestNobodyLeavesTheOldFileBeforeATransactionInAnotherProcessHasEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "WAL")
	a, b := w.add(settings{Idle: true}), w.add(settings{Idle: true})
	if err := b.tell("begin"); err != "<nil>" {
		t.Fatal(err)
	}
	was := w.live
	file := inodeOf(w.path)
	w.move()
	testenv.Until(t, "one of them leads", func() bool {
		table, err := os.ReadFile("/proc/net/unix")
		return err != nil || strings.Contains(string(table), fmt.Sprintf("@hotswap-push/%d-%d-", file.Dev, file.Ino))
	})
	for range 20 {
		if got := strings.Fields(a.tell("look"))[0]; got != was {
			t.Fatalf("one sees %s while a transaction on %s is open in the other", got, was)
		}
	}
	if err := b.tell("commit"); err != "<nil>" {
		t.Fatal(err)
	}
	a.arrives()
	b.arrives()
	w.end()
	if ids, err := readVersion(w.version(was), was); err != nil || len(ids) != 1 {
		t.Errorf("the old one has %v, %v", ids, err)
	}
}

func TestWhoCannotComeAlongToAFileThatWasMovedThereIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "WAL")
	logged := filepath.Join(w.dir, "stderr")
	f, err := os.OpenFile(logged, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Stderr = f
	a := w.startAs(settings{Idle: true}, cmd)
	cmd = exec.Command(os.Args[0])
	cmd.Stderr = f // whichever leads
	b := w.startAs(settings{Idle: true}, cmd)
	w.all = []*child{a, b}
	named := func(pid int, problem string) {
		t.Helper()
		testenv.Eventually(t, func() error {
			text, _ := os.ReadFile(logged)
			if !strings.Contains(string(text), fmt.Sprintf("process %d (%s) %s", pid, filepath.Base(os.Args[0]), problem)) {
				return fmt.Errorf("the log: %s", text)
			}
			return nil
		})
	}
	b.Process.Signal(syscall.SIGSTOP)
	w.move()
	a.arrives()
	named(b.Process.Pid, "is stopped")
	b.Process.Signal(syscall.SIGCONT)
	b.arrives()
	for _, at := range []peers.Op{peers.Join, peers.Shut, peers.Close} {
		old, err := os.Open(w.path)
		if err != nil {
			t.Fatal(err)
		}
		e, err := peers.Listen(&liar{path: w.path, file: inodeOf(w.path), at: at, how: "hangs", met: make(chan struct{}, 1)})
		if err != nil {
			t.Fatal(err)
		}
		os.Truncate(logged, 0)
		w.move()
		a.arrives()
		b.arrives()
		named(os.Getpid(), "does not answer")
		e.Close()
		old.Close()
	}
	w.end()
}

func TestABrokenFileThatIsMovedThereStaysRefusedInAllProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "WAL")
	for range 3 {
		w.add(settings{Idle: true})
	}
	whole, err := os.ReadFile(w.path)
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(w.dir, "broken")
	if err := os.WriteFile(broken, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(w.dir, "kept")
	if err := os.Link(w.path, kept); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(broken, w.path); err != nil {
		t.Fatal(err)
	}
	for _, c := range w.all {
		testenv.Until(t, "it warns", func() bool { return c.tell("warning") != "" })
		c.sees()
	}
	w.agree()
	if err := os.Rename(kept, w.path); err != nil {
		t.Fatal(err)
	}
	w.move()
	for _, c := range w.all {
		c.arrives()
	}
	w.end()
}

// Another process may write to the new file as soon as it uses it. With a rollback journal
// the file is then never left alone for a moment, as one is expected to be that is whole.
func TestAFileThatIsInUseElsewhereIsStillMovedTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "DELETE")
	a := w.add(settings{Idle: true})
	release, err := peers.Claim(fileid.Of(w.path)) // the test leads
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	old := inodeOf(w.path)
	w.move()
	conn := hostAs(t, a, peers.Message{File: old, Adopts: true}, peers.Join, peers.Shut, peers.Close)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				os.Chtimes(w.path, time.Time{}, time.Now())
			}
		}
	}()
	conn.Send(peers.Message{Op: peers.Thaw, N: 9, Swapped: true, File: inodeOf(w.path)})
	for {
		m, err := conn.Receive(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if m.Op == peers.Thawed {
			if m.File != inodeOf(w.path) || m.Generation != 2 {
				t.Errorf("%+v", m)
			}
			break
		}
	}
	if got := a.tell("exec INSERT INTO acked VALUES('held')"); got != "<nil>" {
		t.Errorf("a call: %s", got)
	}
	close(stop)
	<-stopped
	a.arrives()
	w.end()
}
