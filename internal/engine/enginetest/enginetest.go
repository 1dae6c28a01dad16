// Package enginetest starts engines for tests, alone and as a cluster, in the process of
// the test.
package enginetest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"hotswap/internal/engine"
	"hotswap/internal/engine/embedded"
)

// Start starts one server, which ends with the test.
func Start(t testing.TB, adjust ...func(*embedded.Config)) *embedded.Server {
	t.Helper()
	c := embedded.Config{Dir: t.TempDir(), Port: -1, Lax: true}
	for _, a := range adjust {
		a(&c)
	}
	s, err := embedded.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Connect connects, until the end of the test.
func Connect(t testing.TB, config engine.Config) *engine.Engine {
	t.Helper()
	e, err := engine.Connect(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// Cluster are servers that keep everything three times.
type Cluster struct {
	t       testing.TB
	dir     string
	routes  []*url.URL
	clients []int
	Servers []*embedded.Server // nil for one that is stopped
}

// StartCluster starts three servers, which end with the test, and returns when they have a
// leader.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{t: t, dir: t.TempDir(), Servers: make([]*embedded.Server, 3)}
	for range c.Servers {
		c.clients = append(c.clients, Port(t))
		route, err := url.Parse(fmt.Sprintf("nats://127.0.0.1:%d", Port(t)))
		if err != nil {
			t.Fatal(err)
		}
		c.routes = append(c.routes, route)
	}
	// None is ready before it has found another one.
	errs := make(chan error)
	for i := range c.Servers {
		go func() { errs <- c.start(i) }()
	}
	for range c.Servers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() {
		for i := range c.Servers {
			c.Stop(i)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	return c
}

// Start starts a server again that was stopped.
func (c *Cluster) Start(i int) {
	c.t.Helper()
	if err := c.start(i); err != nil {
		c.t.Fatal(err)
	}
}

func (c *Cluster) start(i int) error {
	s, err := embedded.Start(embedded.Config{Dir: filepath.Join(c.dir, fmt.Sprint(i)), Port: c.clients[i], Lax: true,
		Adjust: func(o *server.Options) {
			o.ServerName = fmt.Sprintf("n%d", i)
			o.Cluster.Name, o.Cluster.Host = "fleet", "127.0.0.1"
			fmt.Sscan(c.routes[i].Port(), &o.Cluster.Port)
			o.Routes = c.routes
		}})
	c.Servers[i] = s
	return err
}

// Stop stops a server at once.
func (c *Cluster) Stop(i int) {
	if c.Servers[i] != nil {
		c.Servers[i].Stop()
		c.Servers[i] = nil
	}
}

// Named returns the number of the server with that name, as JetStream tells of a leader.
func (c *Cluster) Named(name string) int {
	var i int
	fmt.Sscanf(name, "n%d", &i)
	return i
}

// URL has the addresses of all.
func (c *Cluster) URL() string {
	var all []string
	for _, port := range c.clients {
		all = append(all, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	return strings.Join(all, ",")
}

// Port finds a port for a server that is stopped and started again. It is below those that the
// kernel gives to whoever connects, who would have it in between.
func Port(t testing.TB) int {
	t.Helper()
	const first, last = 15000, 32000
	for range 100 {
		port := first + rand.N(last-first)
		// To listen there would take it: a child that is forked at that moment has it until it has its program.
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
		if err != nil {
			return port
		}
		conn.Close()
	}
	t.Fatal("no port is free")
	return 0
}
