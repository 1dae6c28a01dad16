package records

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/engine/enginetest"
	"hotswap/internal/rollout"
)

// loser is a way to an engine on which a request can be lost, as it is with a server that dies.
type loser struct {
	address string
	mu      sync.Mutex // guards what follows
	lose    string     // what the next request has that is lost
}

func newLoser(t *testing.T, to string) *loser {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	l := &loser{address: listener.Addr().String()}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			go l.forward(server, client)
			go func() { io.Copy(client, server); client.Close() }()
		}
	}()
	return l
}

func (l *loser) forward(server, client net.Conn) {
	defer server.Close()
	buffer := make([]byte, 1<<16)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		l.mu.Lock()
		lost := l.lose != "" && bytes.Contains(buffer[:n], []byte(l.lose))
		if lost {
			l.lose = ""
		}
		l.mu.Unlock()
		if !lost {
			server.Write(buffer[:n])
		}
	}
}

func (l *loser) loses(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose = what
}

func (l *loser) lost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lose == ""
}

// TestARequestThatIsLostHoldsNothingUp: a node works for as long as its program does, and waits for
// no answer for as long.
func TestARequestThatIsLostHoldsNothingUp(t *testing.T) {
	server := enginetest.Start(t)
	l := newLoser(t, strings.TrimPrefix(server.ClientURL(), "nats://"))
	r, err := Open(t.Context(), enginetest.Connect(t, engine.Config{URL: "nats://" + l.address, Patience: 300 * time.Millisecond}))
	if err != nil {
		t.Fatal(err)
	}
	progress := rollout.Progress{Order: "a", Waves: [][]string{{"a"}}}
	if _, err := r.SetProgress(t.Context(), "catalog", progress, Entry{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.PutHaving(t.Context(), "a", "catalog", Having{Version: 1}, Entry{}); err != nil {
		t.Fatal(err)
	}
	_, at, err := r.Progress(t.Context(), "catalog")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]func(context.Context) error{
		"STREAM.INFO.KV_hotswap-fleet":    func(ctx context.Context) error { _, err := r.Made(ctx); return err },
		"STREAM.MSG.GET.KV_hotswap-fleet": func(ctx context.Context) error { _, _, err := r.Progress(ctx, "catalog"); return err },
		"STREAM.MSG.GET.KV_hotswap-has":   func(ctx context.Context) error { _, _, err := r.GetHaving(ctx, "a", "catalog"); return err },
	}
	for what, do := range read {
		l.loses(what)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := do(ctx); err != nil || !l.lost() {
			t.Errorf("%s is lost: %v", what, err)
		}
		cancel()
	}
	write := map[string]func(context.Context) error{
		"progress.catalog": func(ctx context.Context) error { _, err := r.SetProgress(ctx, "catalog", progress, at); return err },
		"waves.catalog": func(ctx context.Context) error {
			_, err := r.SetProgress(ctx, "catalog", rollout.Progress{Order: "b", Waves: [][]string{{"b"}}}, at)
			return err
		},
		"has.a.catalog": func(ctx context.Context) error {
			_, err := r.PutHaving(ctx, "a", "catalog", Having{Version: 2}, Entry{Revision: 1})
			return err
		},
		"CONSUMER.CREATE": func(ctx context.Context) error { return r.WatchNodes(ctx, func(Change) {}) },
	}
	for what, do := range write {
		l.loses(what)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := do(ctx); ctx.Err() != nil || !errors.Is(err, engine.ErrSilent) && !errors.Is(err, engine.ErrNotKept) {
			t.Errorf("%s is lost: %v", what, err)
		}
		cancel()
	}
}
