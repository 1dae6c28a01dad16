package repository

import (
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"hotswap/internal/engine"
	"hotswap/internal/engine/enginetest"
)

// line is a connection over which so many bytes go in a second, in each direction.
type line struct {
	net.Conn
	rate int
}

func (l line) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p[:min(len(p), 4096)])
	l.take(n)
	return n, err
}

func (l line) Write(p []byte) (int, error) {
	n, err := l.Conn.Write(p)
	l.take(n)
	return n, err
}

func (l line) take(n int) { time.Sleep(time.Duration(n) * time.Second / time.Duration(l.rate)) }

// Dial is of nats.CustomDialer.
func (l line) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	return line{c, l.rate}, err
}

// TestOverASlowLine: what is sent at once must arrive before it is given up. How much is sent
// again is the next test.
func TestOverASlowLine(t *testing.T) {
	w := newWorld(t)
	conn, err := nats.Connect(w.server.ClientURL(), nats.SetCustomDialer(line{rate: 2 << 20}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	e := enginetest.Connect(t, engine.Config{Conn: conn, Patience: 300 * time.Millisecond})
	if w.repo, err = Open(t.Context(), e, nil); err != nil {
		t.Fatal(err)
	}
	path := w.database(4096, 5<<20) // half of it travels
	p := w.publish("catalog", path, PublishOptions{})
	if got, _ := w.fetch(w.repo, p.Published); !same(got, w.asPublished(path)) {
		t.Error("what was fetched is something else")
	}
}

func TestAsManyChunksTravelAsALineBears(t *testing.T) {
	f := newFlight(8, 3*time.Second)
	spare := func() int { return f.spare }
	for range 20 {
		<-f.places
		f.land(0)
	}
	if spare() != 0 || len(f.places) != 8 {
		t.Errorf("of a quick line %d places are spare, and %d free", spare(), len(f.places))
	}
	for range 7 {
		<-f.places
		f.land(2 * time.Second)
	}
	if <-f.places; spare() != 7 || len(f.places) != 0 {
		t.Errorf("of a slow line %d places are spare, and %d free", spare(), len(f.places))
	}
	f.land(2 * time.Second)
	if len(f.places) != 1 {
		t.Error("nothing travels any more")
	}
}
