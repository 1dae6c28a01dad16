package peers

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connection between two peers. Send may be called from any goroutine,
// Receive from one at a time.
type Conn struct {
	Process Process
	Name    string // of the endpoint, if Find made the connection

	c  stream
	in *bufio.Reader

	mu    sync.Mutex // one line at a time; a leaf
	still chan struct{}
}

// stream is a *net.UnixConn, or an *os.File that is one end of a connection.
type stream interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	syscall.Conn
}

// newConn refuses a connection to or from a stranger, before anything is read.
func newConn(c stream) (*Conn, error) {
	who, err := processOf(c)
	if err != nil {
		return nil, err
	}
	if !ours(who.UID) {
		return nil, errStranger
	}
	return &Conn{Process: who, c: c, in: bufio.NewReaderSize(c, maxLine)}, nil
}

var errStranger = errors.New("it runs as another user")

// ours reports whether a uid is this process's own, or root's. One that the kernel can't
// translate into this user namespace may be anybody's.
func ours(uid uint32) bool {
	return (uid == 0 || uid == uint32(os.Geteuid())) && uid != overflowUID()
}

// overflowUID: /proc/sys/kernel/overflowuid, which nobody changes.
var overflowUID = func() uint32 { return 65534 }

// Of returns the process at the other end of a connection, or that listened there; the zero
// Process if that can't be told.
func Of(c *net.UnixConn) Process {
	p, _ := processOf(c)
	return p
}

func processOf(c stream) (p Process, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return p, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return p, err
	}
	if credErr != nil {
		return p, credErr
	}
	return Process{PID: int(cred.Pid), UID: cred.Uid}, nil
}

// Command returns the name of the process's program; "" if that can't be told. It takes a
// descriptor for a moment.
func (p Process) Command() string {
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.PID))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(comm))
}

// Stopped reports whether the process is seen to be stopped, by a signal or a debugger.
func (p Process) Stopped() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID))
	if err != nil {
		return false
	}
	// After the program's name, which may have anything in it (proc_pid_stat(5)).
	_, state, _ := strings.Cut(string(stat[max(0, bytes.LastIndexByte(stat, ')')):]), ") ")
	return strings.HasPrefix(state, "T") || strings.HasPrefix(state, "t")
}

// sendPatience bounds a write, which waits only if the other end does not read.
const sendPatience = Silence / 2

// Send writes a message.
func (c *Conn) Send(m Message) error {
	line, err := m.encode()
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.c.SetWriteDeadline(time.Now().Add(sendPatience))
	_, err = c.c.Write(line)
	return err
}

// Receive returns the next message. It waits for it, and for what comes of it, no longer
// than patience; 0 means for as long as it takes.
func (c *Conn) Receive(patience time.Duration) (Message, error) {
	var until time.Time
	if patience > 0 {
		until = time.Now().Add(patience)
	}
	c.c.SetReadDeadline(until)
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return Message{}, err
	}
	return decode(line)
}

// SayStill says Still, as often as it has to be said, until the connection is closed.
func (c *Conn) SayStill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.still != nil {
		return
	}
	closed := make(chan struct{})
	c.still = closed
	go func() {
		every := time.NewTicker(stillEvery)
		defer every.Stop()
		for {
			select {
			case <-closed:
				return
			case <-every.C:
				if c.Send(Message{Op: Still}) != nil {
					return
				}
			}
		}
	}()
}

// Close ends the connection; whoever waits for a message gets an error.
func (c *Conn) Close() {
	shutdown(c.c)
	c.c.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.still != nil {
		close(c.still)
		c.still = nil
	}
}

// shutdown ends a socket also for those who have a copy of its descriptor, as a child has
// that was just started. Who connects to a listener is refused from then on.
func shutdown(s syscall.Conn) {
	if raw, err := s.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RDWR) })
	}
}
