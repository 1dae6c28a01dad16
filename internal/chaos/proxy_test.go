//go:build linux

package chaos

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// proxy is a node's way to the engine, which can be cut.
type proxy struct {
	ports []int

	mu    sync.Mutex // guards what follows
	cut   bool
	conns map[net.Conn]bool
}

// startProxy starts one with a port for each of those.
func startProxy(t *testing.T, to []int) *proxy {
	t.Helper()
	p := &proxy{conns: map[net.Conn]bool{}}
	for _, port := range to {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p.ports = append(p.ports, l.Addr().(*net.TCPAddr).Port)
		go p.serve(l, fmt.Sprint("127.0.0.1:", port))
		t.Cleanup(func() { l.Close(); p.set(true) })
	}
	return p
}

func (p *proxy) serve(l net.Listener, to string) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			out, err := net.Dial("tcp", to)
			if err != nil || !p.add(in, out) {
				in.Close()
				if err == nil {
					out.Close()
				}
				return
			}
			go p.pass(in, out)
			p.pass(out, in)
		}()
	}
}

// pass copies one direction until either end is closed.
func (p *proxy) pass(to, from net.Conn) {
	io.Copy(to, from)
	to.Close()
	from.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, to)
	delete(p.conns, from)
}

func (p *proxy) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = true
	}
	return !p.cut
}

// set cuts the way, or opens it again.
func (p *proxy) set(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	for c := range p.conns {
		if cut {
			c.Close()
		}
	}
}
