package peers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/testenv"
)

// echo answers each message with itself.
type echo struct{}

func (echo) Serve(c *Conn, first Message) {
	for m, err := first, error(nil); err == nil; m, err = c.Receive(Silence) {
		c.Send(m)
	}
}

func listenFor(t *testing.T, h Handler) *Endpoint {
	t.Helper()
	e, err := Listen(h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// dial connects to one endpoint, of those that are found.
func dial(t *testing.T, e *Endpoint) *net.UnixConn {
	t.Helper()
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: e.Name(), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func connect(t *testing.T, e *Endpoint) *Conn {
	t.Helper()
	c, err := newConn(dial(t, e))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnEndpointIsFoundByItsNameAndAnswers(t *testing.T) {
	own, other := listenFor(t, echo{}), listenFor(t, echo{})
	found := Find(own.Name(), nobody)
	t.Cleanup(func() {
		for _, c := range found {
			c.Close()
		}
	})
	var names []string
	for _, c := range found {
		names = append(names, c.c.(*net.UnixConn).RemoteAddr().String())
	}
	if !slices.Contains(names, other.Name()) || slices.Contains(names, own.Name()) {
		t.Fatalf("found %q: want %s, and not %s", names, other.Name(), own.Name())
	}
	c := found[slices.Index(names, other.Name())]
	if c.Process.PID != os.Getpid() || c.Process.UID != uint32(os.Geteuid()) {
		t.Errorf("it is of %+v", c.Process)
	}
	sent := Message{V: Version, Op: Join, N: 7, File: Inode{1, 2}, Base: []byte("\xff.db"), Holders: []Holder{{"rows", "SELECT 1", time.Second, true}}}
	if err := c.Send(sent); err != nil {
		t.Fatal(err)
	}
	got, err := c.Receive(time.Minute)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(sent) {
		t.Errorf("got %+v, %v; want %+v", got, err, sent)
	}
	other.Close()
	if _, err := c.Receive(time.Minute); err == nil {
		t.Error("a closed endpoint answers")
	}
}

func TestAnEndpointIsOutsideOfEveryBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := listenFor(t, echo{})
		began := time.Now()
		time.Sleep(time.Hour) // of the bubble's clock
		synctest.Wait()
		if time.Since(began) != time.Hour {
			t.Error("the clock moved otherwise")
		}
		e.Close()
	})
}

func TestAnotherVersionIsToldSo(t *testing.T) {
	c := connect(t, listenFor(t, echo{}))
	c.Send(Message{V: Version + 1, Op: Join})
	got, err := c.Receive(time.Minute)
	if err != nil || got.Op != No || got.V != Version || got.Why == "" {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := c.Receive(time.Minute); err == nil {
		t.Error("the connection goes on")
	}
}

func TestWhatIsNoMessageEndsTheConnection(t *testing.T) {
	for _, text := range []string{
		"\n", "{}\n", "[]\n", "nonsense\n", `{"v":1,"op":"join","for_ns":-1}` + "\n", "\x00\x00\n",
		`{"v":1,"op":"join"` + strings.Repeat(" ", maxLine) + "}\n",
		`{"v":1,"op":"held","holders":[` + strings.Repeat("{},", maxHolders) + "{}]}\n",
	} {
		e := listenFor(t, echo{})
		c := dial(t, e)
		if _, err := c.Write([]byte(text)); err != nil {
			t.Logf("%.20q: %v", text, err) // closed before all was written
		}
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if n, err := c.Read(make([]byte, 100)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%.40q is answered with %d bytes, %v", text, n, err)
		}
	}
}

func TestAnEndpointServesSoManyAndNoMore(t *testing.T) {
	e := listenFor(t, echo{})
	for range maxConns {
		c := connect(t, e)
		c.Send(Message{V: Version, Op: Join})
		if _, err := c.Receive(time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	c := connect(t, e)
	c.Send(Message{V: Version, Op: Join})
	if m, err := c.Receive(time.Minute); err == nil {
		t.Errorf("one more gets %+v", m)
	}
}

func TestOneWhoSaysNothingIsHungUpOn(t *testing.T) {
	c := dial(t, listenFor(t, echo{}))
	c.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("it is served for as long as it likes")
	}
}

func TestNoHandlerIsServedAfterTheEnd(t *testing.T) {
	e := listenFor(t, echo{})
	e.Close()
	testenv.Eventually(t, func() error {
		if c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: e.Name(), Net: "unix"}); err == nil {
			c.Close()
			return errors.New("it can be reached")
		}
		return nil
	})
}

func TestAProgramThatHasUsedUpItsDescriptorsAnswers(t *testing.T) {
	e := listenFor(t, echo{})
	c := connect(t, e)
	c.Close()
	spared := func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.conns) == 0
	}
	testenv.Until(t, "the first one is gone", spared)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = 100
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	fill := func() (fds []int) {
		e.mu.Lock() // under which it uses the one that was set aside, to accept
		defer e.mu.Unlock()
		for {
			fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return fds
			}
			fds = append(fds, fd)
			t.Cleanup(func() { unix.Close(fd) })
		}
	}
	mine := fill()
	for range 3 {
		// This end's is one that was left for a moment: the other end must not take it.
		unix.Close(mine[0])
		c := connect(t, e)
		c.Send(Message{V: Version, Op: Join})
		if m, err := c.Receive(Silence / 2); err != nil || m.Op != Join {
			t.Fatalf("got %+v, %v", m, err)
		}
		if more := fill(); len(more) > 0 {
			t.Fatalf("%d descriptors are free", len(more))
		}
		c.Close()
		testenv.Until(t, "it is gone, too", spared)
		// This end's is free again, and the one that was set aside is not.
		if mine = fill(); len(mine) != 1 {
			t.Fatalf("%d descriptors are free; want this end's", len(mine))
		}
	}
}

func TestAStoppedProcessIsSeenToBe(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	p := Process{PID: cmd.Process.Pid}
	for _, stop := range []bool{true, false} {
		signal := unix.SIGCONT
		if stop {
			signal = unix.SIGSTOP
		}
		cmd.Process.Signal(signal)
		testenv.Until(t, fmt.Sprintf("stopped is %t", stop), func() bool { return p.Stopped() == stop })
	}
}
