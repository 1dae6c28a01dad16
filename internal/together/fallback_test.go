package together

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// inPlace pushes through c, and demands that it went in place because of what is said.
func (c *child) inPlace(because ...string) {
	c.w.t.Helper()
	out, _ := c.push(order{Timeout: 20 * time.Second})
	if out.Report.Method != swapper.MethodInPlace {
		c.w.t.Fatalf("by %q, %s", out.Report.Method, out.Err)
	}
	for _, text := range because {
		if !strings.Contains(out.Report.InPlaceBecause, text) {
			c.w.t.Errorf("in place because %s; want %q", out.Report.InPlaceBecause, text)
		}
	}
}

func (c *child) process() string { return fmt.Sprintf("process %d", c.Process.Pid) }

// sees demands that c reads and writes the live version.
func (c *child) sees() {
	c.w.t.Helper()
	if got := strings.Fields(c.tell("look"))[0]; got != c.w.live {
		c.w.t.Errorf("%s sees %s; want %s", c.process(), got, c.w.live)
	}
	if got := c.tell("exec INSERT INTO acked VALUES('held')"); got != "<nil>" {
		c.w.t.Errorf("%s writes: %s", c.process(), got)
	}
}

// Not beside the others: each of their questions stays in the queue of the stopped one,
// and when that is full nobody can be told any more who it is.
func TestAStoppedPeerMakesAPushGoInPlace(t *testing.T) {
	w := newWorld(t, "WAL")
	a, b := w.add(settings{Idle: true}), w.add(settings{Idle: true})
	b.Process.Signal(syscall.SIGSTOP)
	a.inPlace(b.process(), "is stopped")
	out, _ := a.push(order{Method: swapper.MethodRename})
	if !out.Busy || !strings.Contains(out.Err, b.process()) {
		t.Errorf("by rename: %s", out.Err)
	}
	a.sees()
	b.Process.Signal(syscall.SIGCONT)
	b.sees()
	b.isTold(1) // now that it reads what it was told
	b.told = 1
	a.mustPush(order{Method: swapper.MethodRename})
}

func TestProcessesThatWantNoPeersHaveNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "WAL")
	a := w.add(settings{Idle: true})
	for _, b := range []*child{w.start(settings{Idle: true, Alone: true}), w.start(settings{Idle: true}, "HOTSWAP_PEERS=off")} {
		if got := b.tell("peers"); got != "null" {
			t.Errorf("its peers: %s", got)
		}
		a.inPlace(b.process())
		b.inPlace(a.process())
		b.End()
	}
}

func TestASecondPushIsRefusedByThePidOfTheFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "WAL")
	a, b, c := w.add(settings{Idle: true}), w.add(settings{Idle: true}), w.add(settings{Idle: true})
	if err := c.tell("begin"); err != "<nil>" {
		t.Fatal(err)
	}
	stamp := a.begin(order{Method: swapper.MethodRename, Timeout: 30 * time.Second})
	testenv.Until(t, "the first push has begun", func() bool {
		table, err := os.ReadFile("/proc/net/unix")
		file := inodeOf(w.path)
		return err != nil || strings.Contains(string(table), fmt.Sprintf("@hotswap-push/%d-%d-", file.Dev, file.Ino))
	})
	if out, _ := b.push(order{}); !out.Busy || !strings.Contains(out.Err, a.process()) {
		t.Errorf("the second push: %s", out.Err)
	}
	if err := c.tell("commit"); err != "<nil>" {
		t.Fatal(err)
	}
	if out := a.ends(stamp); out.Err != "" {
		t.Fatal(out.Err)
	}
	w.agree()
	b.mustPush(order{Method: swapper.MethodRename})
}

// TestAPushWaitsForAPeerThatEndsItsPartInAnotherSwap, whose program has frozen the database
// here, and says so.
func TestAPushWaitsForAPeerThatEndsItsPartInAnotherSwap(t *testing.T) {
	t.Parallel()
	for _, o := range []order{{Method: swapper.MethodRename}, {Method: swapper.MethodInPlace}, {Method: swapper.MethodRename, Force: true}} {
		o.Log = true
		t.Run(fmt.Sprintf("%s,force=%t", o.Method, o.Force), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "WAL")
			a := w.add(settings{Idle: true})
			logged := filepath.Join(w.dir, "stderr")
			f, err := os.Create(logged)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			cmd := exec.Command(os.Args[0])
			cmd.Stderr = f
			b := w.startAs(settings{Idle: true}, cmd)
			w.all = append(w.all, b)
			if err := a.tell("freeze"); err != "<nil>" {
				t.Fatal(err)
			}
			stamp := b.begin(o)
			testenv.Eventually(t, func() error {
				text, err := os.ReadFile(logged)
				if err == nil && !strings.Contains(string(text), "waiting for "+a.process()) {
					err = fmt.Errorf("the log: %s", text)
				}
				return err
			})
			a.tell("thaw")
			if out := b.ends(stamp); out.Err != "" || string(o.Method) != string(out.Report.Method) {
				t.Errorf("%s, %+v", out.Err, out.Report)
			}
			w.agree()
			w.end()
		})
	}
}

func TestAFileThatIsMountedByItselfIsNotLeftBehind(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		testenv.Skip(t, "mounting takes root")
	}
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		testenv.Skip(t, "unshare: %v: %s", err, out)
	}
	for _, base := range []string{"live.db", "other.db"} {
		w := newWorld(t, "WAL")
		a := w.add(settings{Idle: true})
		dir := t.TempDir()
		mounted := filepath.Join(dir, base)
		if err := os.WriteFile(mounted, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		b := w.startIn(settings{Idle: true, Path: mounted}, "unshare", "-m", "--propagation", "private", "sh", "-c",
			`mount --bind "$1" "$2" && exec "$0"`, os.Args[0], w.path, mounted)
		a.inPlace(b.process(), "mounted as a file of its own")
		b.sees()
		b.isTold(1)
		b.tell("exec INSERT INTO acked VALUES('from b')")
		a.sees()
		b.End()
		a.End()
	}
}
