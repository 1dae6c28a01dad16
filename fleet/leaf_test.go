package fleet

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"hotswap/internal/engine/enginetest"
	"hotswap/internal/rollout"
	"hotswap/internal/testenv"
)

// link is a connection between two servers that can be cut.
type link struct {
	net.Listener
	to string

	mu    sync.Mutex // guards what follows
	cut   bool
	conns []net.Conn
}

func newLink(t *testing.T, port int) *link {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{Listener: listener, to: fmt.Sprint("127.0.0.1:", port)}
	t.Cleanup(func() { l.Close(); l.set(true) })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", l.to)
			if err != nil {
				in.Close()
				continue
			}
			l.mu.Lock()
			l.conns = append(l.conns, in, out)
			cut := l.cut
			l.mu.Unlock()
			if cut {
				l.set(true)
			}
			pass := func(to, from net.Conn) { io.Copy(to, from); to.Close(); from.Close() }
			go pass(in, out)
			go pass(out, in)
		}
	}()
	return l
}

func (l *link) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut = cut; cut {
		for _, c := range l.conns {
			c.Close()
		}
		l.conns = nil
	}
}

// leafConfig is that of a leaf: what its clients ask of JetStream is for the engine, whose domain
// is named.
const leafConfig = `
	listen: "127.0.0.1:-1"
	default_js_domain: { "$G": "hub" }
	leafnodes { reconnect: 1, remotes: [ { url: "nats://%s" } ] }
`

// TestANodeAtALeaf: its server has no JetStream, and is connected with the engine, or is not.
func TestANodeAtALeaf(t *testing.T) {
	t.Parallel()
	hub := enginetest.Port(t)
	w := &world{t: t, dir: filepath.Join(t.TempDir(), "engine"), port: enginetest.Port(t)}
	w.adjust = func(o *server.Options) {
		o.LeafNode.Host, o.LeafNode.Port, o.LeafNode.NoAdvertise, o.JetStreamDomain = "127.0.0.1", hub, true, "hub"
	}
	w.startEngine()
	w.open(w.operator())
	way := newLink(t, hub)
	file := filepath.Join(t.TempDir(), "leaf.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, leafConfig, way.Addr()), 0o600); err != nil {
		t.Fatal(err)
	}
	opts, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	opts.NoLog, opts.NoSigs = true, true
	leaf, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	leaf.Start()
	t.Cleanup(func() { leaf.Shutdown(); leaf.WaitForShutdown() })
	if !leaf.ReadyForConnections(10 * time.Second) {
		t.Fatal("the leaf takes no connections")
	}

	eventually(t, "the leaf is connected", func() bool { return w.server.NumLeafNodes() == 1 && leaf.NumLeafNodes() == 1 })
	one := w.publish("catalog")
	a := w.program("a", one, func(c *Config) { c.Engine = leaf.ClientURL() })
	b := w.program("b", one, nil)
	w.publish("catalog")
	w.publish("catalog")
	w.rollout(2, rollout.Plan{})
	a.has(2)
	b.has(2)
	w.phase(rollout.Done, 2)

	if testenv.Sample(0, 1) == 0 {
		return // it takes twenty seconds until a node that is cut off is silent, and is back
	}
	way.set(true)
	w.rollout(3, rollout.Plan{})
	b.has(3)
	if s := a.node.Status(); a.content() != "catalog@2" || s.Connected || s.Away == "" {
		t.Errorf("it reads %s: %+v", a.content(), s)
	}
	w.phase(rollout.Done, 3)
	way.set(false)
	a.has(3)
	eventually(t, "it says so", func() bool { return a.node.Status().Connected })
}
