package fdpass

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Receiver receives the descriptors that come over connections, and bounds how
// many there are at once. Its methods may be called from any goroutine.
type Receiver struct {
	threads chan struct{} // one value for each keeper
}

// maxKeepers bounds the threads that keep descriptors: one that was passed costs
// a thread until it is closed.
const maxKeepers = 64

// NewReceiver returns a Receiver, for all connections of a server.
func NewReceiver() *Receiver { return &Receiver{make(chan struct{}, maxKeepers)} }

// Conn wraps a connection that was just accepted.
func (r *Receiver) Conn(conn *net.UnixConn) *Conn { return &Conn{UnixConn: conn, receiver: r} }

// Conn is a server's end of a connection, whose first bytes may bring a file.
// With any later bytes the kernel drops what is passed. Read is for one goroutine
// at a time, as net/http uses it; the other methods may be called from any.
type Conn struct {
	*net.UnixConn
	receiver *Receiver
	begun    bool // the first bytes were read

	mu     sync.Mutex // guards what follows
	came   *File      // what nobody has taken yet
	closed bool
}

// Read reads from the connection, and receives what comes with its first bytes.
func (c *Conn) Read(p []byte) (int, error) {
	if c.begun || len(p) == 0 {
		return c.UnixConn.Read(p)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int
	var came *File
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

// receiveFirst reads a connection's first bytes and what came with them. A peek
// tells whether there is anything: only then is it worth a thread.
func (c *Conn) receiveFirst(sock int, p []byte) (int, *File, error) {
	var none [1]byte
	_, _, flags, _, err := unix.Recvmsg(sock, none[:], nil, unix.MSG_PEEK|unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return 0, nil, err
	}
	if flags&unix.MSG_CTRUNC != 0 {
		if n, came, ok := c.receiver.receive(sock, p); ok {
			return n, came, nil
		}
		// No thread of its own to receive it: the kernel drops it, and the bytes
		// have to do.
	}
	n, _, _, _, err := unix.Recvmsg(sock, p, nil, unix.MSG_DONTWAIT)
	return n, nil, err
}

func (c *Conn) keep(came *File) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		came.Close()
		return
	}
	c.came = came
}

// Take returns what came with the connection's first bytes, or nil. It does so
// once; the caller closes the File.
func (c *Conn) Take() *File {
	c.mu.Lock()
	defer c.mu.Unlock()
	came := c.came
	c.came = nil
	return came
}

// Close closes the connection, and a File that nobody took.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	came := c.came
	c.came = nil
	c.mu.Unlock()
	came.Close()
	return c.UnixConn.Close()
}

// Watch returns a context that ends when the peer leaves, until stop, which the
// caller must call. It uses the read deadline, and there must be no Read
// meanwhile: net/http notices that a client left only once the body is read, and
// nobody reads the body of a request that brought a File.
func (c *Conn) Watch(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if c.peerLeaves() {
			cancel()
		}
	}()
	return ctx, func() {
		c.SetReadDeadline(time.Unix(1, 0))
		<-done
		c.SetReadDeadline(time.Time{})
		cancel()
	}
}

// peerLeaves waits for the end of what the peer sends. It is false if more
// comes first, or a deadline.
func (c *Conn) peerLeaves() bool {
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
