package together

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/peers"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

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
	for _, found := range peers.Find("", func(string) bool { return false }) {
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
