package engine

import (
	"cmp"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// dialer dials for a patient connection. NATS holds a lock while it dials, and until the server
// has greeted, which everybody needs who asks how the connection is. So what takes longer than a
// moment goes on beside that, and is handed over when NATS tries again, with a longer moment: a
// server that is far away does not wait for long for who has connected.
type dialer struct {
	greets bool // the server speaks first

	mu      sync.Mutex // guards what follows
	dialing map[string]chan dialed
	moments map[string]time.Duration // of those that have taken longer
}

type dialed struct {
	conn net.Conn
	err  error
	at   time.Time
}

// firstMoment and lastMoment are how long NATS is held up, and staleAfter is how old a connection
// may be that is handed over.
const (
	firstMoment = 200 * time.Millisecond
	lastMoment  = time.Second
	staleAfter  = 300 * time.Millisecond
)

func newDialer(greets bool) *dialer {
	return &dialer{greets: greets, dialing: map[string]chan dialed{}, moments: map[string]time.Duration{}}
}

// Dial is of nats.CustomDialer.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	result, moment := d.begin(network, address)
	select {
	case r := <-result:
		if r.conn != nil && time.Since(r.at) > staleAfter {
			r.conn.Close()
			d.end(address)
			return d.Dial(network, address)
		}
		d.end(address)
		return r.conn, r.err
	case <-time.After(moment):
		d.mu.Lock()
		defer d.mu.Unlock()
		d.moments[address] = min(2*moment, lastMoment)
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
	}
}

// begin dials, unless that is going on.
func (d *dialer) begin(network, address string) (result chan dialed, moment time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if result = d.dialing[address]; result == nil {
		result = make(chan dialed, 1)
		d.dialing[address] = result
		go func() {
			conn, err := d.dial(network, address)
			result <- dialed{conn, err, time.Now()}
		}()
	}
	return result, cmp.Or(d.moments[address], firstMoment)
}

func (d *dialer) end(address string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.dialing, address)
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
