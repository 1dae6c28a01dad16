package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"hotswap/internal/engine"
	"hotswap/internal/engine/embedded"
	"hotswap/internal/engine/enginetest"
)

// TestTheDriverLinksNothingOfIt: nor do swapper and sockserver.
func TestTheDriverLinksNothingOfIt(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "hotswap/driver", "hotswap/swapper", "hotswap/sockserver").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.Lines(string(out)) {
		if strings.Contains(path, "nats") || strings.HasPrefix(path, "hotswap/internal/engine") {
			t.Errorf("%s is linked", strings.TrimSpace(path))
		}
	}
	out, err = exec.Command("go", "list", "-deps", "hotswap/internal/engine", "hotswap/internal/repository").Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), "nats-server") {
		t.Error("the server is linked by what only connects")
	}
}

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

func TestAKeyWithATTLThatIsRenewedStays(t *testing.T) {
	s := enginetest.Start(t)
	e := enginetest.Connect(t, engine.Config{URL: s.ClientURL()})
	fleet, err := e.Fleet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	revision, err := fleet.Create(t.Context(), "a", []byte("1"), jetstream.KeyTTL(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	renewed, err := e.UpdateTTL(t.Context(), fleet, "a", []byte("2"), revision, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.UpdateTTL(t.Context(), fleet, "a", []byte("3"), revision, time.Second); !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		t.Errorf("an old revision was taken: %v", err)
	}
	watch, err := fleet.Watch(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	for {
		entry := <-watch.Updates()
		if entry != nil && entry.Operation() != jetstream.KeyValuePut {
			break // it has expired
		}
	}
	if _, err := e.UpdateTTL(t.Context(), fleet, "a", []byte("4"), renewed, time.Second); !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		t.Errorf("a key that has expired was renewed: %v", err)
	}
	entries, err := e.ReadUpTo(t.Context(), fleet, 0, ">")
	if err != nil || len(entries) != 0 {
		t.Errorf("there are %v, %v", entries, err)
	}
}

func TestAContextOfTheNATSCommand(t *testing.T) {
	s := enginetest.Start(t, func(c *embedded.Config) {
		c.Adjust = func(o *server.Options) { o.Username, o.Password = "ada", "pw" }
	})
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	dir := filepath.Join(config, "nats", "context")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("fleet", `{"description": "ours", "url": "`+s.ClientURL()+`", "user": "ada", "password": "pw"}`)
	write("far", `{"url": "`+s.ClientURL()+`", "jetstream_domain": "hub"}`)
	write("broken", `{`)
	e := enginetest.Connect(t, engine.Config{Context: "fleet"})
	if err := e.Setup(t.Context()); err != nil {
		t.Error(err)
	}
	enginetest.Connect(t, engine.Config{Context: filepath.Join(dir, "fleet.json")})
	for name, words := range map[string]string{"far": "jetstream_domain is not supported here", "broken": "is not valid", "none": "there is no NATS context"} {
		if _, err := engine.Connect(t.Context(), engine.Config{Context: name}); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPatientConnectionIsThereWhenTheEngineIs(t *testing.T) {
	first := enginetest.Start(t)
	dir, port := t.TempDir(), first.Addr()
	first.Stop()
	changed := make(chan bool, 10)
	e, err := engine.Connect(t.Context(), engine.Config{URL: "nats://" + port.String(), Patient: true,
		Changed: func(connected bool, _ error) { changed <- connected }})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	second, err := embedded.Start(embedded.Config{Dir: dir, Port: portOf(t, port.String()), Lax: true})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Stop()
	for !<-changed {
	}
	if err := e.Setup(t.Context()); err != nil {
		t.Error(err)
	}
}

func portOf(t *testing.T, address string) (port int) {
	t.Helper()
	for _, c := range address[strings.LastIndex(address, ":")+1:] {
		port = 10*port + int(c-'0')
	}
	return port
}

// TestReadingLeavesItsKeysAlone: nats.go changes the list that it is given, and what is not
// answered is asked again.
func TestReadingLeavesItsKeysAlone(t *testing.T) {
	s := enginetest.Start(t)
	e := enginetest.Connect(t, engine.Config{URL: s.ClientURL()})
	fleet, err := e.Fleet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{"a", "b.*"}
	if _, err := e.ReadUpTo(t.Context(), fleet, 0, keys...); err != nil {
		t.Fatal(err)
	}
	if keys[0] != "a" || keys[1] != "b.*" {
		t.Errorf("the keys are %q now", keys)
	}
}

// A key that is written anew while the bucket is read must not be missed: a collection that
// missed a publisher's would remove what it is about to name.
func TestAReadMissesNoKeyThatIsWrittenMeanwhile(t *testing.T) {
	e := enginetest.Connect(t, engine.Config{URL: enginetest.Start(t).ClientURL()})
	nodes, err := e.Nodes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const keys = 500
	write := func(i int) error {
		_, err := nodes.Put(t.Context(), fmt.Sprint("node.", i%keys), make([]byte, 1000))
		return err
	}
	for i := range keys {
		if err := write(i); err != nil {
			t.Fatal(err)
		}
	}
	stop := make(chan struct{})
	var writing sync.WaitGroup
	for w := range 4 {
		writing.Go(func() {
			for i := w * keys / 4; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := write(i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 20 {
		if all, err := e.ReadUpTo(t.Context(), nodes, 0, "node.*"); err != nil || len(all) != keys {
			t.Errorf("%d keys of %d are read: %v", len(all), keys, err)
		}
	}
	close(stop)
	writing.Wait()
}
