package together

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/peers"
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

// liar is a peer that says what is expected of it and does nothing; and at one question
// it does otherwise.
type liar struct {
	path  string
	file  peers.Inode // that it says it has
	at    peers.Op
	how   string
	met   chan struct{}  // gets a value when it was asked that
	heard func(peers.Op) // if set, gets all
}

var truths = map[peers.Op]peers.Op{peers.Join: peers.Joined, peers.Status: peers.State, peers.Shut: peers.Drained, peers.Filter: peers.Ready, peers.Open: peers.Rested, peers.Close: peers.Closed, peers.Hush: peers.Hushed}

func (l *liar) Serve(c *peers.Conn, first peers.Message) {
	if first.File != l.file {
		c.Send(peers.Message{V: peers.Version, Op: peers.No})
		return
	}
	c.SayStill()
	for m, err := first, error(nil); err == nil; m, err = c.Receive(time.Minute) {
		if m.Op == peers.Still {
			continue
		}
		if l.heard != nil {
			l.heard(m.Op)
		}
		answer := peers.Message{V: peers.Version, Op: truths[m.Op], N: m.N, Dir: inodeOf(filepath.Dir(l.path)), Base: []byte(filepath.Base(l.path))}
		if m.Op == l.at {
			select {
			case l.met <- struct{}{}:
			default:
			}
			switch l.how {
			case "hangs":
				continue
			case "hangs up":
				return
			case "talks nonsense":
				answer.Op = peers.Told
			}
		}
		c.Send(answer)
	}
}

func inodeOf(path string) peers.Inode {
	var st unix.Stat_t
	unix.Stat(path, &st)
	return peers.Inode{Dev: st.Dev, Ino: st.Ino}
}

func TestAPeerThatLiesOrHangsMakesAPushGoInPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "WAL")
	a := w.add(settings{Idle: true})
	db, err := sql.Open("sqlite3", "file:"+w.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, at := range []peers.Op{"", peers.Status, peers.Join, peers.Shut, peers.Close} {
		for _, how := range []string{"hangs", "hangs up", "talks nonsense"} {
			if at == "" && how != "hangs" {
				continue // it lies throughout
			}
			if testenv.Sample(0, 1) == 0 && at != "" && rand.IntN(2) == 0 {
				continue
			}
			l := &liar{path: w.path, file: inodeOf(w.path), at: at, how: how, met: make(chan struct{}, 1)}
			e, err := peers.Listen(l)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec("INSERT INTO acked VALUES('held')"); err != nil { // its connection is open, and stays so
				t.Fatal(err)
			}
			a.inPlace(fmt.Sprintf("process %d", os.Getpid()))
			if at != "" && len(l.met) == 0 {
				t.Errorf("it was never asked to %s", at)
			}
			a.sees()
			e.Close()
		}
	}
}

// echo answers each question with itself.
type echo struct{}

func (echo) Serve(c *peers.Conn, first peers.Message) {
	for m, err := first, error(nil); err == nil; m, err = c.Receive(time.Minute) {
		c.Send(m)
	}
}

func TestWhoTalksNonsenseTakesNoPart(t *testing.T) {
	t.Parallel()
	e, err := peers.Listen(echo{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	w := newWorld(t, "WAL")
	a, b := w.add(settings{Idle: true}), w.add(settings{Idle: true})
	if out := a.mustPush(order{Method: swapper.MethodRename}); len(out.Report.Peers) != 1 || out.Report.Peers[0].PID != b.Process.Pid {
		t.Errorf("the peers: %+v", out.Report.Peers)
	}
}

// host plays a pusher: it says these, one after another, and waits for their answers.
func host(t *testing.T, c *child, ops ...peers.Op) (conn *peers.Conn) {
	t.Helper()
	return hostAs(t, c, peers.Message{File: inodeOf(c.w.path)}, ops...)
}

func hostAs(t *testing.T, c *child, like peers.Message, ops ...peers.Op) (conn *peers.Conn) {
	t.Helper()
	testenv.Eventually(t, func() (err error) { // while another one's is not over yet
		conn, err = tryHost(t, c, like, ops...)
		return err
	})
	return conn
}

func tryHost(t *testing.T, c *child, like peers.Message, ops ...peers.Op) (conn *peers.Conn, err error) {
	for _, found := range peers.Find("") {
		if found.Process.PID == c.Process.Pid {
			conn = found
		} else {
			found.Close()
		}
	}
	if conn == nil {
		return nil, errors.New("no endpoint is found")
	}
	t.Cleanup(conn.Close)
	for i, op := range ops {
		like.V, like.Op, like.N, like.For = peers.Version, op, uint64(i), 50*time.Millisecond
		conn.Send(like)
		for {
			m, err := conn.Receive(time.Minute)
			if err != nil {
				return nil, fmt.Errorf("%s is answered with %v", op, err)
			}
			if m.Op == peers.Still {
				continue
			}
			if m.Op != truths[op] {
				conn.Close()
				return nil, fmt.Errorf("%s is answered with %s %s", op, m.Op, m.Why)
			}
			break
		}
	}
	return conn, nil
}

func TestAPusherThatDiesOrIsSilentLeavesItsPeersServing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "WAL")
	a := w.add(settings{Idle: true})
	for _, ops := range [][]peers.Op{{peers.Join}, {peers.Join, peers.Shut}, {peers.Join, peers.Shut, peers.Open}, {peers.Join, peers.Filter}, {peers.Join, peers.Shut, peers.Close}} {
		for _, dies := range []bool{true, false} {
			conn := host(t, a, ops...)
			if dies {
				conn.Close()
			}
			testenv.Eventually(t, func() error {
				if got := a.tell("exec INSERT INTO acked VALUES('held')"); got != "<nil>" {
					return fmt.Errorf("after %v, died %t: %s", ops, dies, got)
				}
				return nil
			})
			a.sees()
			conn.Close()
		}
	}
	w.agree() // nothing was swapped
	a.mustPush(order{Method: swapper.MethodRename})
}

func TestAPusherThatIsStoppedKeepsNobodyInASystemCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "WAL")
	a := w.add(settings{Idle: true})
	host(t, a, peers.Join, peers.Shut, peers.Close) // and says no more
	f, err := os.OpenFile(w.path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETSIG, int(unix.SIGURG)); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Fatalf("the proof: %v", err)
	}
	// Longer than the peer waits for a word: it then has the path to itself, and no lease.
	for began := time.Now(); time.Since(began) < 2*peers.Silence; {
		if got := a.tell("exec INSERT INTO acked VALUES('held')"); got != "context deadline exceeded" {
			t.Fatalf("a call: %s", got)
		}
	}
	names, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/wchan", a.Process.Pid))
	for _, name := range names {
		if text, _ := os.ReadFile(name); strings.Contains(string(text), "lease") {
			t.Errorf("a thread waits in %s", text)
		}
	}
	unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	f.Close()
	testenv.Eventually(t, func() error {
		if got := a.tell("exec INSERT INTO acked VALUES('held')"); got != "<nil>" {
			return fmt.Errorf("after the lease: %s", got)
		}
		return nil
	})
	a.sees()
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
