package peers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestStrangersAreNotOurs(t *testing.T) {
	was, strange := overflowUID, atomic.Bool{} // who accepts may ask for it until after the test
	overflowUID = func() uint32 {
		if strange.Load() {
			return uint32(os.Geteuid())
		}
		return was()
	}
	t.Cleanup(func() { strange.Store(false) })
	if us := uint32(os.Geteuid()); !ours(us) || !ours(0) || ours(us+1) {
		t.Error("own user and root, and nobody else")
	}
	strange.Store(true)
	if ours(uint32(os.Geteuid())) {
		t.Error("whom the kernel can't name may be anybody")
	}
	e := listenFor(t, echo{})
	c := dial(t, e)
	if _, err := newConn(c); !errors.Is(err, errStranger) {
		t.Errorf("got %v", err)
	}
	c.SetReadDeadline(time.Now().Add(time.Minute))
	c.Write([]byte(`{"v":1,"op":"join"}` + "\n"))
	if n, err := c.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a stranger is answered: %d bytes, %v", n, err)
	}
}

func TestOnlyNamesOfEndpointsAreTaken(t *testing.T) {
	us := os.Geteuid()
	table := "Num       RefCount Protocol Flags    Type St Inode Path\n" +
		fmt.Sprintf("0: 00000002 00000000 00010000 0001 01 1 @hotswap-peer/1/%d/A\n", us) +
		fmt.Sprintf("0: 00000003 00000000 00000000 0001 03 2 @hotswap-peer/1/%d/A\n", us) +
		fmt.Sprintf("0: 00000002 00000000 00010000 0001 01 3 @hotswap-peer/1/%d/B\n", us+1) +
		"0: 00000002 00000000 00010000 0001 01 3 @hotswap-peer/2/0/C\n" +
		"0: 00000002 00000000 00010000 0001 01 3 @hotswap-peer/1/0/D/E\n" +
		"0: 00000002 00000000 00010000 0001 01 3 /tmp/@hotswap-peer/1/0/F\n" +
		"0: 00000002 00000000 00010000 0001 01 3 @hotswap-peer/1/0/" + strings.Repeat("G", maxName) + "\n"
	want := []string{fmt.Sprintf("@hotswap-peer/1/%d/A", us), "@hotswap-peer/2/0/C"}
	if got := endpoints([]byte(table)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := endpoints([]byte(strings.Repeat("0: 00000002 00000000 00010000 0001 01 3 @hotswap-peer/1/0/X\n", 2))); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

// The kernel lists sockets by no order that could be relied on, and whose one is it says
// to nobody but who connects.
func TestNamesThatLeadToNobodyHideNoPeer(t *testing.T) {
	for i := range 2 * maxPeers {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		if err := unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("%s%d/%d/%d.%d", prefix, Version, os.Geteuid(), os.Getpid(), i)}); err != nil {
			t.Fatal(err)
		}
	}
	listenFor(t, echo{})
	for _, c := range Find("", nobody) {
		c.Close()
		if c.Process.PID == os.Getpid() {
			return
		}
	}
	t.Error("not found")
}

func FuzzEndpoints(f *testing.F) {
	f.Add([]byte("0: 00000002 00000000 00010000 0001 01 3 @hotswap-peer/1/0/A\n"))
	f.Fuzz(func(t *testing.T, table []byte) {
		for _, name := range endpoints(table) {
			if !strings.HasPrefix(name, prefix) || len(name) >= maxName {
				t.Errorf("%q", name)
			}
		}
	})
}

func nobody(string) bool { return false }

// Of more endpoints than are asked, those that did not answer before hide no other.
func TestThoseWhoDoNotAnswerHideNobody(t *testing.T) {
	for i := range maxPeers + 10 {
		name := fmt.Sprintf("%s%d/%d/AAAA%d", prefix, Version, os.Geteuid(), i)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	e := listenFor(t, echo{})
	found := Find("", func(name string) bool { return name != e.Name() })
	defer func() {
		for _, c := range found {
			c.Close()
		}
	}()
	if len(found) != maxPeers || found[0].Name != e.Name() {
		t.Errorf("%d are found, and the first is %s", len(found), found[0].Name)
	}
}
