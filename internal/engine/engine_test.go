package engine_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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

func TestAKeyWithATTLThatIsRenewedStays(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
