//go:build linux

package chaos

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"hotswap/internal/engine/embedded"
	"hotswap/internal/engine/enginetest"
)

// cluster is the engine: three servers, of which one may be gone.
type cluster struct {
	t      *testing.T
	dir    string
	ports  []int // for clients
	routes []int // for one another

	mu      sync.Mutex // guards servers
	servers []*embedded.Server
}

const servers = 3

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir(), servers: make([]*embedded.Server, servers), ports: freePorts(t, servers), routes: freePorts(t, servers)}
	var starting sync.WaitGroup
	for i := range servers {
		starting.Go(func() {
			if err := c.start(i); err != nil {
				t.Error(err)
			}
		})
	}
	starting.Wait()
	if t.Failed() {
		t.FailNow()
	}
	t.Cleanup(func() {
		for i := range servers {
			c.stop(i)
		}
	})
	return c
}

func freePorts(t *testing.T, n int) (ports []int) {
	t.Helper()
	for range n {
		ports = append(ports, enginetest.Port(t))
	}
	return ports
}

// start starts a server, with what it had.
func (c *cluster) start(i int) error {
	s, err := embedded.Start(embedded.Config{Dir: filepath.Join(c.dir, fmt.Sprint(i)), Port: c.ports[i], Lax: true, Adjust: func(o *server.Options) {
		o.ServerName = fmt.Sprint("server-", i)
		// Clients are told of no server that they don't know: they would go around the proxy.
		o.Cluster = server.ClusterOpts{Name: "chaos", Host: "127.0.0.1", Port: c.routes[i], NoAdvertise: true}
		for _, port := range c.routes {
			o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprint("127.0.0.1:", port)})
		}
	}})
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.servers[i] = s
	c.mu.Unlock()
	return nil
}

func (c *cluster) stop(i int) {
	c.mu.Lock()
	s := c.servers[i]
	c.servers[i] = nil
	c.mu.Unlock()
	if s != nil {
		s.Stop()
	}
}

func addresses(ports []int) string {
	var all []string
	for _, port := range ports {
		all = append(all, fmt.Sprint("nats://127.0.0.1:", port))
	}
	return strings.Join(all, ",")
}
