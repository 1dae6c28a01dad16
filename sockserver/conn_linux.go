package sockserver

import (
	"errors"
	"io"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// serverConn is a server's end of a connection. Its first bytes may carry a
// descriptor; with any later ones the kernel drops them.
type serverConn struct {
	*net.UnixConn
	keepers keepers
	begun   bool // the first bytes were read; net/http has one reader at a time

	mu     sync.Mutex // guards what follows
	came   *descriptor
	closed bool
}

func newServerConn(conn *net.UnixConn, keepers keepers) net.Conn {
	return &serverConn{UnixConn: conn, keepers: keepers}
}

// unixConn is the connection below a server's.
func unixConn(conn net.Conn) (*net.UnixConn, bool) {
	c, ok := conn.(*serverConn)
	if !ok {
		return nil, false
	}
	return c.UnixConn, true
}

func (c *serverConn) Read(p []byte) (int, error) {
	if c.begun || len(p) == 0 {
		return c.UnixConn.Read(p)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int
	var came *descriptor
	var readErr error
	err = raw.Read(func(fd uintptr) bool {
		n, came, readErr = c.receiveFirst(int(fd), p)
		return !errors.Is(readErr, unix.EAGAIN)
	})
	switch {
	case err != nil:
		return 0, err
	case readErr != nil:
		return 0, &net.OpError{Op: "read", Net: "unix", Err: readErr}
	case n == 0:
		return 0, io.EOF
	}
	c.begun = true
	if came != nil {
		c.keep(came)
	}
	return n, nil
}

func (c *serverConn) keep(came *descriptor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		came.close()
		return
	}
	came.conn = c
	c.came = came
}

// take hands out what came, once: to the connection's first request.
func (c *serverConn) take() *descriptor {
	c.mu.Lock()
	defer c.mu.Unlock()
	came := c.came
	c.came = nil
	return came
}

// Close closes a descriptor that no request took, too.
func (c *serverConn) Close() error {
	c.mu.Lock()
	c.closed = true
	came := c.came
	c.came = nil
	c.mu.Unlock()
	came.close()
	return c.UnixConn.Close()
}

// receiveFirst reads a connection's first bytes and what came with them. A look
// at them tells whether there is anything: only then is it worth a thread.
func (c *serverConn) receiveFirst(sock int, p []byte) (int, *descriptor, error) {
	var none [1]byte
	_, _, flags, _, err := unix.Recvmsg(sock, none[:], nil, unix.MSG_PEEK|unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return 0, nil, err
	}
	if flags&unix.MSG_CTRUNC != 0 {
		if n, came, ok := c.keepers.receive(sock, p); ok {
			return n, came, nil
		}
		// No thread of its own to receive them: the kernel drops them, and the
		// body has to do.
	}
	n, _, _, _, err := unix.Recvmsg(sock, p, nil, unix.MSG_DONTWAIT)
	return n, nil, err
}

// peerLeaves waits for the end of what the client sends. It is false if more
// comes first, or a deadline.
func (c *serverConn) peerLeaves() bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var one [1]byte
	var n int
	var peekErr error
	err = raw.Read(func(fd uintptr) bool {
		n, _, _, _, peekErr = unix.Recvmsg(int(fd), one[:], nil, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return !errors.Is(peekErr, unix.EAGAIN)
	})
	return err == nil && (n == 0 || peekErr != nil)
}
