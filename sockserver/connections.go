package sockserver

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
)

// maxConnections bounds the connections of each socket: what they use up are the
// program's own descriptors, and its databases need some.
const maxConnections = 256

// connections knows the state of each connection of a server, so that stopping
// can wait for those with a request, and for no other. (http.Server.Shutdown
// would wait five seconds for one that never sent any.)
type connections struct {
	mu       sync.Mutex // guards what follows
	states   map[net.Conn]http.ConnState
	stopping bool
	quiet    chan struct{} // closed once stopping, and no connection is left
}

func newConnections() *connections {
	return &connections{states: make(map[net.Conn]http.ConnState), quiet: make(chan struct{})}
}

// track is a server's ConnState hook.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(c.states, conn)
		c.checkQuietLocked()
		return
	}
	c.states[conn] = state
	if c.stopping && state != http.StateActive {
		conn.Close()
	}
}

// stop closes the connections without a request, from now on, too. The result
// is closed once the last connection is gone. It is called once, after the
// last connection was accepted.
func (c *connections) stop() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return c.quiet
	}
	c.stopping = true
	for conn, state := range c.states {
		if state != http.StateActive {
			conn.Close()
		}
	}
	c.checkQuietLocked()
	return c.quiet
}

// full reports whether there are as many connections as there may be.
func (c *connections) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.states) >= maxConnections
}

// refuseConnection answers a connection that there is no room for, without
// waiting for its request: in a new one the answer always has room.
func refuseConnection(conn net.Conn) {
	defer conn.Close()
	p := tooMany("%d clients are connected, and no more are allowed at once", maxConnections)
	body, err := json.Marshal(p)
	if err != nil {
		return
	}
	answer := http.Response{
		StatusCode: p.Status, ProtoMajor: 1, ProtoMinor: 1,
		Header:        http.Header{"Content-Type": {problemMediaType}, "Retry-After": {"1"}},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Close:         true,
	}
	answer.Write(conn)
}

func (c *connections) checkQuietLocked() {
	if c.stopping && len(c.states) == 0 {
		close(c.quiet)
	}
}
