package peers

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"sync"
)

// prefix begins the names of all endpoints.
const prefix = "@hotswap-peer/"

// Endpoint is where other processes reach this one.
type Endpoint struct {
	name    string
	l       *net.UnixListener
	handler Handler

	mu     sync.Mutex // guards what follows
	conns  map[*net.UnixConn]struct{}
	closed bool
}

// Listen opens an endpoint.
func Listen(h Handler) (*Endpoint, error) {
	e := &Endpoint{
		name:    fmt.Sprintf("%s%d/%d/%s", prefix, Version, os.Geteuid(), rand.Text()),
		handler: h,
		conns:   map[*net.UnixConn]struct{}{},
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: e.name, Net: "unix"})
	if err != nil {
		return nil, err
	}
	e.l = l
	outside(e.accept)
	return e, nil
}

// Name is the endpoint's, which Find leaves out.
func (e *Endpoint) Name() string { return e.name }

// Close ends it, and the connections that it serves.
func (e *Endpoint) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	closeListener(e.l)
	for c := range e.conns {
		c.Close()
	}
}

func (e *Endpoint) accept() {
	for {
		c, err := e.l.AcceptUnix()
		if err != nil {
			if e.isClosed() {
				return
			}
			pause() // no descriptor is left, say
			continue
		}
		if !e.enter(c) {
			c.Close()
			continue
		}
		go func() {
			defer e.leave(c)
			e.serve(c)
		}()
	}
}

func (e *Endpoint) isClosed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}

func (e *Endpoint) enter(c *net.UnixConn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || len(e.conns) >= maxConns {
		return false
	}
	e.conns[c] = struct{}{}
	return true
}

func (e *Endpoint) leave(c *net.UnixConn) {
	c.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, c)
}

func (e *Endpoint) serve(c *net.UnixConn) {
	conn, err := newConn(c)
	if err != nil {
		return
	}
	defer conn.Close()
	first, err := conn.Receive(firstPatience)
	if err != nil {
		return
	}
	if first.V != Version {
		conn.Send(Message{V: Version, Op: No, Why: fmt.Sprintf("it speaks version %d of the wire", Version)})
		return
	}
	e.handler.Serve(conn, first)
}
