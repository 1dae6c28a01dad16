package engine_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"hotswap/internal/engine"
	"hotswap/internal/engine/embedded"
	"hotswap/internal/engine/enginetest"
)

func plain(t *testing.T, adjust func(*server.Options)) string {
	t.Helper()
	s, err := server.NewServer(func() *server.Options {
		o := &server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, StoreDir: t.TempDir(), JetStream: true}
		adjust(o)
		return o
	}())
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server is not ready")
	}
	return s.ClientURL()
}

func TestEachFailureHasItsWords(t *testing.T) {
	users := func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "admin", Password: "pw"},
			{Username: "reader", Password: "pw", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"$KV.>", "hotswap.>"}}}},
		}
	}
	with := func(url, user string) string { return strings.Replace(url, "nats://", "nats://"+user+"@", 1) }
	withUsers := plain(t, users)
	admin := enginetest.Connect(t, engine.Config{URL: with(withUsers, "admin:pw")})
	if err := admin.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	full := plain(t, func(o *server.Options) { o.JetStreamMaxStore = 100 << 10 })
	for _, test := range []struct {
		name  string
		url   string
		do    func(*engine.Engine) error
		kind  error
		words string
	}{
		{"away", "nats://127.0.0.1:1", nil, engine.ErrUnreachable, "connect at nats://127.0.0.1:1: no engine answers (is it running"},
		{"credentials", with(withUsers, "admin:wrong"), nil, engine.ErrCredentials, "the engine refuses the credentials"},
		{"no credentials", withUsers, nil, engine.ErrCredentials, "check --creds"},
		{"no JetStream", plain(t, func(o *server.Options) { o.JetStream = false }), func(e *engine.Engine) error { return e.Setup(t.Context()) },
			engine.ErrNoJetStream, "nats-server -js"},
		{"permission", with(withUsers, "reader:pw"), publish, engine.ErrNotPermitted, `publish to "hotswap.chunk.x"`},
		{"full", full, func(e *engine.Engine) error {
			if err := e.Setup(t.Context()); err != nil {
				return err
			}
			for range 20 {
				if err := publish(e); err != nil {
					return err
				}
			}
			return nil
		}, engine.ErrFull, "hotswap fleet gc --keep N"},
		{"endless", plain(t, func(*server.Options) {}), func(e *engine.Engine) error {
			config := jetstream.StreamConfig{Name: "KV_" + engine.NodesBucket, Subjects: []string{"$KV." + engine.NodesBucket + ".>"}, MaxMsgsPerSubject: 1}
			if _, err := e.JetStream().CreateStream(t.Context(), config); err != nil {
				return err
			}
			nodes, err := e.Nodes(t.Context())
			if err != nil {
				return err
			}
			_, err = e.PutTTL(t.Context(), nodes, "node.a", nil, time.Minute)
			return e.ExplainWrite("write node.a", err)
		}, engine.ErrNoTTL, "write node.a"},
		{"too many", plain(t, func(*server.Options) {}), func(e *engine.Engine) error {
			config := jetstream.StreamConfig{Name: "KV_" + engine.NodesBucket, Subjects: []string{"$KV." + engine.NodesBucket + ".>"}, MaxMsgsPerSubject: 1, MaxConsumers: 1}
			if _, err := e.JetStream().CreateStream(t.Context(), config); err != nil {
				return err
			}
			nodes, err := e.Nodes(t.Context())
			for i := 0; err == nil && i < 2; i++ {
				_, err = nodes.WatchAll(t.Context())
			}
			return e.Explain("watch", err)
		}, engine.ErrTooMany, "raise the limit of consumers"},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, err := engine.Connect(t.Context(), engine.Config{URL: test.url, Patience: 200 * time.Millisecond})
			if err == nil {
				defer e.Close()
				err = test.do(e)
			}
			if !errors.Is(err, test.kind) || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(test.words)) {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "wrong@") {
				t.Errorf("a password is in %q", err)
			}
		})
	}
}

// TestAPortThatIsTakenIsSaidAtOnce, and not after a minute in which the engine might have begun.
func TestAPortThatIsTakenIsSaidAtOnce(t *testing.T) {
	s := enginetest.Start(t)
	began := time.Now()
	_, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Port: s.Addr().(*net.TCPAddr).Port})
	if !errors.Is(err, embedded.ErrTaken) || time.Since(began) > 10*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// TestADirectoryIsThatOfOneEngine: two would overwrite what the other has acknowledged.
func TestADirectoryIsThatOfOneEngine(t *testing.T) {
	config := embedded.Config{Dir: t.TempDir(), Port: -1, Lax: true}
	for range 2 {
		s, err := embedded.Start(config)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Stop()
		if _, err := embedded.Start(config); !errors.Is(err, embedded.ErrInUse) || !strings.Contains(err.Error(), config.Dir) {
			t.Error(err)
		}
		s.Stop()
	}
}

var written int

func publish(e *engine.Engine) error {
	written++
	err := e.Retry(context.Background(), func(ctx context.Context) error {
		_, err := e.JetStream().Publish(ctx, engine.ChunkSubject("x"+strings.Repeat("x", written-1)), make([]byte, 10<<10))
		return err
	})
	return e.Explain("publish", err)
}

// TestAStreamThatIsFullRefusesWhatIsNew, and what is there stays; what is there already may be
// written again.
func TestAStreamThatIsFullRefusesWhatIsNew(t *testing.T) {
	s := enginetest.Start(t)
	e := enginetest.Connect(t, engine.Config{URL: s.ClientURL()})
	chunks, err := e.Chunks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	config := chunks.CachedInfo().Config
	config.MaxBytes = 50 << 10
	if _, err := e.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	put := func(name string) error {
		_, err := e.JetStream().Publish(t.Context(), engine.ChunkSubject(name), make([]byte, 10<<10))
		return e.Explain("publish", err)
	}
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		if err := put(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := put("e"); !errors.Is(err, engine.ErrFull) {
		t.Errorf("got %v", err)
	}
	if err := put("a"); err != nil {
		t.Errorf("a chunk is not written again: %v", err)
	}
	for _, name := range names {
		if _, err := chunks.GetLastMsgForSubject(t.Context(), engine.ChunkSubject(name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
