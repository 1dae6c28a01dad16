package peers

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"hotswap/internal/reserve"
)

// prefix begins the names of all endpoints.
const prefix = "@hotswap-peer/"

// Endpoint is where other processes reach this one. It takes two descriptors: that of its
// socket, and one that is set aside for whom it serves, so that it neither waits for one
// when the program has used up all, nor takes one that a connection of the program has
// left for a moment.
type Endpoint struct {
	name    string
	l       *os.File
	handler Handler

	mu     sync.Mutex // guards what follows
	conns  map[*Conn]struct{}
	spare  reserve.Reserve // empty while it is in use
	closed bool
}

// Listen opens an endpoint.
func Listen(h Handler) (*Endpoint, error) {
	e := &Endpoint{
		name:    fmt.Sprintf("%s%d/%d/%s", prefix, Version, os.Geteuid(), rand.Text()),
		handler: h,
		conns:   map[*Conn]struct{}{},
	}
	var err error
	if e.l, err = listen(e.name); err != nil {
		return nil, err
	}
	reserve.Prepare()
	e.spare.Fill(1)
	outside(e.accept)
	return e, nil
}

// listen does what net.ListenUnix does; but of that one's listener it can't be said when
// it accepts.
func listen(name string) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: name}); err == nil {
		err = unix.Listen(fd, maxConns)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen at %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Name is the endpoint's, which Find leaves out.
func (e *Endpoint) Name() string { return e.name }

// Close ends it, and the connections that it serves.
func (e *Endpoint) Close() {
	e.mu.Lock()
	e.closed = true
	e.spare.Release()
	conns := slices.Collect(maps.Keys(e.conns))
	e.mu.Unlock()
	// Each waits for those who are at it, who may wait for the lock.
	shutdown(e.l)
	e.l.Close()
	for _, c := range conns {
		c.Close()
	}
}

func (e *Endpoint) accept() {
	for {
		f, err := e.next()
		if err != nil {
			if e.isClosed() {
				return
			}
			pause() // no descriptor is left, say
			continue
		}
		c, err := newConn(f)
		if err != nil || !e.enter(c) {
			f.Close()
			e.refill()
			continue
		}
		go func() {
			defer e.leave(c)
			e.serve(c)
		}()
	}
}

// next waits for the next one who connects.
func (e *Endpoint) next() (*os.File, error) {
	raw, err := e.l.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var acceptErr error
	err = raw.Read(func(l uintptr) (done bool) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.spare.Release()
		fd, _, acceptErr = unix.Accept4(int(l), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if acceptErr == nil {
			return true
		}
		e.refillLocked()
		return acceptErr != unix.EAGAIN
	})
	if err = cmp.Or(err, acceptErr); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), e.name), nil
}

// refill sets a descriptor aside again, if one is free: that of a connection that has just
// ended.
func (e *Endpoint) refill() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refillLocked()
}

func (e *Endpoint) refillLocked() {
	if !e.closed {
		e.spare.Fill(1)
	}
}

func (e *Endpoint) isClosed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}

func (e *Endpoint) enter(c *Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || len(e.conns) >= maxConns {
		return false
	}
	e.conns[c] = struct{}{}
	return true
}

func (e *Endpoint) leave(c *Conn) {
	c.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, c)
	e.refillLocked()
}

func (e *Endpoint) serve(c *Conn) {
	first, err := c.Receive(firstPatience)
	if err != nil {
		return
	}
	if first.V != Version {
		c.Send(Message{V: Version, Op: No, Why: fmt.Sprintf("it speaks version %d of the wire", Version)})
		return
	}
	e.handler.Serve(c, first)
}
