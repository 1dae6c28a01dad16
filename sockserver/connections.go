package sockserver

import (
	"net"
	"net/http"
	"sync"
)

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

func (c *connections) checkQuietLocked() {
	if c.stopping && len(c.states) == 0 {
		close(c.quiet)
	}
}
