package sockserver

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"hotswap/internal/reserve"
)

// bounds are how many connections a socket has at most: what they use up are the
// program's own descriptors, and its databases need some. Of the two sockets together
// clients get a quarter of them, and those who are being refused an eighth.
type bounds struct {
	clients int
	// ofOneUser and ofOthers are how many of those users other than the program's own and
	// root may have: each user, and all of them together. The rest is for operators.
	ofOneUser, ofOthers int
	// refusals are the connections of users who are not admitted, beside clients. They
	// are kept only to have their request answered with the refusal; beyond the bound a
	// connection is answered at once.
	refusals int
}

const (
	maxConnections = 256
	maxRefusals    = 16
)

// boundsOf are those of a process that may have so many descriptors.
func boundsOf(limit uint64) bounds {
	clients := int(min(maxConnections, max(limit/8, 1)))
	return bounds{
		clients:   clients,
		ofOneUser: max(clients/4, 1),
		ofOthers:  clients * 3 / 4,
		refusals:  int(min(maxRefusals, max(limit/16, 1))),
	}
}

// idlePatience is how long a client that asks for nothing is left alone while
// descriptors are scarce.
const idlePatience = time.Second

// connections tracks the peer and the state of each connection of a server, so
// that stopping waits only for connections with a request. (http.Server.Shutdown
// would wait five seconds for one that never sent any.)
type connections struct {
	cfg    Config
	bounds bounds

	mu       sync.Mutex // guards what follows
	all      map[net.Conn]*connection
	stopping bool
	quiet    chan struct{} // closed once stopping, and no connection is left
}

type connection struct {
	state   http.ConnState
	since   time.Time // when it got into it
	peer    peer
	refusal *Problem // nil for a peer that is admitted
	gone    context.Context
	leave   func() // ends gone
}

func newConnections(cfg Config) *connections {
	return &connections{cfg: cfg, bounds: boundsOf(reserve.Limit()), all: make(map[net.Conn]*connection), quiet: make(chan struct{})}
}

// enter admits a new connection, if only to answer it with a refusal. A problem
// that it returns is to be answered at once: there is no room.
func (c *connections) enter(conn net.Conn) *Problem {
	entered := &connection{state: http.StateNew, since: time.Now()}
	entered.gone, entered.leave = context.WithCancel(context.Background())
	entered.peer, entered.refusal = c.cfg.admit(conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.noRoomLocked(entered); p != nil {
		return p
	}
	c.all[conn] = entered
	return nil
}

func (c *connections) noRoomLocked(entered *connection) *Problem {
	var admitted, refused, others, same int
	for _, one := range c.all {
		switch {
		case one.refusal != nil:
			refused++
			continue
		case !one.peer.ours():
			others++
			if one.peer.uid == entered.peer.uid {
				same++
			}
		}
		admitted++
	}
	switch {
	case entered.refusal != nil && refused >= c.bounds.refusals:
		return entered.refusal
	case entered.refusal != nil:
		return nil
	case admitted >= c.bounds.clients:
		return tooMany("%d clients are connected, which is the limit", admitted)
	case !entered.peer.ours() && same >= c.bounds.ofOneUser:
		return tooMany("%d clients of user %d are connected, which is the limit", same, entered.peer.uid)
	case !entered.peer.ours() && others >= c.bounds.ofOthers:
		return tooMany("%d clients of other users are connected, which is the limit", others)
	}
	return nil
}

// context is a server's ConnContext hook: it tells a connection's requests their
// peer, or why they are refused.
func (c *connections) context(ctx context.Context, conn net.Conn) context.Context {
	c.mu.Lock()
	entered := c.all[conn]
	c.mu.Unlock()
	if entered == nil {
		return ctx // closed meanwhile
	}
	ctx = context.WithValue(ctx, connKey{}, conn)
	ctx = context.WithValue(ctx, goneKey{}, entered.gone)
	if entered.peer.known {
		ctx = context.WithValue(ctx, peerKey{}, entered.peer)
	}
	if entered.refusal != nil {
		ctx = context.WithValue(ctx, refusalKey{}, entered.refusal)
	}
	return ctx
}

// goneKey is of a context that ends with the request's connection.
type goneKey struct{}

// goneOf returns it; one that never ends, of a request to a Handler, which knows no
// connections.
func goneOf(ctx context.Context) context.Context {
	if gone, ok := ctx.Value(goneKey{}).(context.Context); ok {
		return gone
	}
	return context.Background()
}

// track is a server's ConnState hook.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		if one := c.all[conn]; one != nil {
			one.leave()
		}
		delete(c.all, conn)
		c.checkQuietLocked()
		return
	}
	if one := c.all[conn]; one != nil {
		one.state, one.since = state, time.Now()
	}
	if c.stopping && state != http.StateActive {
		conn.Close()
	}
}

// closeIdle makes room for the program's own files.
func (c *connections) closeIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn, one := range c.all {
		if one.state != http.StateActive && time.Since(one.since) > idlePatience {
			conn.Close()
		}
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
	for conn, one := range c.all {
		if one.state != http.StateActive {
			conn.Close()
		}
	}
	c.checkQuietLocked()
	return c.quiet
}

func (c *connections) checkQuietLocked() {
	if c.stopping && len(c.all) == 0 {
		close(c.quiet)
	}
}
