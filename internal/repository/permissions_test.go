package repository

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/engine/embedded"
	"hotswap/internal/engine/enginetest"
)

// guideFile returns a file that the guide to fleets has.
func guideFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```\n# "+name+"\n")
	file, _, ends := strings.Cut(rest, "\n```\n")
	if !found || !ends {
		t.Fatalf("the guide has no %s", name)
	}
	return file
}

// TestNobodyDoesWhatTheGuideForbids: each user of the guide does what it is for, and nothing
// else.
func TestNobodyDoesWhatTheGuideForbids(t *testing.T) {
	for _, user := range []string{"ADMIN", "PUBLISHER", "NODE", "ONLOOKER"} {
		t.Setenv(user+"_PASSWORD", "pw")
	}
	config := filepath.Join(t.TempDir(), "users.conf")
	if err := os.WriteFile(config, []byte(guideFile(t, "users.conf")), 0o600); err != nil {
		t.Fatal(err)
	}
	s := enginetest.Start(t, func(c *embedded.Config) { c.File = config })
	as := func(user string) *Repository {
		t.Helper()
		e := enginetest.Connect(t, engine.Config{URL: strings.Replace(s.ClientURL(), "nats://", "nats://"+user+":pw@", 1), Patience: 250 * time.Millisecond})
		if user == "admin" {
			if err := e.Setup(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		r, err := Open(t.Context(), e, nil)
		if err != nil {
			t.Fatalf("%s: %v", user, err)
		}
		return r
	}
	admin := as("admin")
	w := &world{t: t, repo: as("publisher"), rng: newRand(), dir: t.TempDir()}
	path := w.database(4096, 300<<10)
	p := w.publish("catalog", path, PublishOptions{})
	w.change(path, 5)
	second := w.publish("catalog", path, PublishOptions{})
	for _, user := range []string{"publisher", "node", "onlooker"} {
		r := as(user)
		if all, err := r.Versions(t.Context(), "catalog"); err != nil || len(all) != 2 {
			t.Errorf("%s sees %v, %v", user, all, err)
		}
		w.fetch(r, second.Published)
		if _, err := r.GC(t.Context(), GCOptions{Keep: 1}); !errors.Is(err, engine.ErrNotPermitted) {
			t.Errorf("%s collects: %v", user, err)
		}
		began := time.Now()
		if _, err := r.GC(t.Context(), GCOptions{Keep: 1, DryRun: true}); !errors.Is(err, engine.ErrNotPermitted) || time.Since(began) > 5*time.Second {
			t.Errorf("%s lists chunks after %v: %v", user, time.Since(began), err)
		}
		if left, err := r.Manifest(t.Context(), p.Version); err != nil || left.State != IsPublished {
			t.Errorf("%s was not allowed to collect, and has left %s %s: %v", user, p.Version, left.State, err)
		}
		if user != "publisher" {
			if _, err := r.Publish(t.Context(), "catalog", path, PublishOptions{}); !errors.Is(err, engine.ErrNotPermitted) {
				t.Errorf("%s publishes: %v", user, err)
			}
		}
		if err := r.engine.Retry(t.Context(), orders(r)); !errors.Is(r.engine.Explain("order", err), engine.ErrNotPermitted) {
			t.Errorf("%s orders: %v", user, err)
		}
	}
	if _, err := admin.Manifest(t.Context(), p.Version); err != nil {
		t.Error(err)
	}
	if done, err := admin.GC(t.Context(), GCOptions{Keep: 1}); err != nil || len(done.Retired) != 1 || done.Chunks == 0 {
		t.Errorf("the admin collects %+v, %v", done, err)
	}
	w.fetch(admin, second.Published)
}

// orders writes an order, as whoever may does.
func orders(r *Repository) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := r.fleet.PutString(ctx, "order.catalog", `{"text":{"version":1}}`)
		return err
	}
}
