package engine

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// dialer dials for a patient connection. NATS holds a lock while it dials, and until the server
// has greeted, which everybody needs who asks how the connection is. So what takes longer than a
// moment goes on beside that, and is handed over when NATS tries again.
type dialer struct {
	greets bool // the server speaks first

	mu      sync.Mutex // guards what follows
	dialing map[string]chan dialed
}

type dialed struct {
	conn net.Conn
	err  error
}

// dialMoment is how long NATS is held up.
const dialMoment = 200 * time.Millisecond

func newDialer(greets bool) *dialer {
	return &dialer{greets: greets, dialing: map[string]chan dialed{}}
}

// Dial is of nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	d.mu.Lock()
	result := d.dialing[address]
	if result == nil {
		result = make(chan dialed, 1)
		d.dialing[address] = result
		go func() {
			conn, err := d.dial(network, address)
			result <- dialed{conn, err}
		}()
	}
	d.mu.Unlock()
	select {
	case r := <-result:
		d.mu.Lock()
		delete(d.dialing, address)
		d.mu.Unlock()
		return r.conn, r.err
	case <-time.After(dialMoment):
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
	}
}

func (d *dialer) dial(network, address string) (net.Conn, error) {
	conn, err := net.DialTimeout(network, address, connectPatience)
	if err != nil || !d.greets {
		return conn, err
	}
	conn.SetReadDeadline(time.Now().Add(connectPatience))
	first := make([]byte, 1)
	if _, err := io.ReadFull(conn, first); err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetReadDeadline(time.Time{})
	return &greeted{conn, first}, nil
}

// close closes what nobody will ask for any more.
func (d *dialer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, result := range d.dialing {
		go func() {
			if r := <-result; r.conn != nil {
				r.conn.Close()
			}
		}()
	}
	clear(d.dialing)
}

// greeted is a connection of which the first byte was read.
type greeted struct {
	net.Conn
	first []byte
}

func (g *greeted) Read(p []byte) (int, error) {
	if len(g.first) > 0 {
		n := copy(p, g.first)
		g.first = g.first[n:]
		return n, nil
	}
	return g.Conn.Read(p)
}
