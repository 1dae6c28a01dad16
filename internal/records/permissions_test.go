package records

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
	"hotswap/internal/rollout"
)

// TestANodeMayDoWhatANodeDoes: the guide's permissions of a node suffice for all it writes, and
// for no order.
func TestANodeMayDoWhatANodeDoes(t *testing.T) {
	for _, user := range []string{"ADMIN", "PUBLISHER", "NODE", "ONLOOKER"} {
		t.Setenv(user+"_PASSWORD", "pw")
	}
	guide, err := os.ReadFile("../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "```\n# users.conf\n")
	users, _, found := strings.Cut(rest, "\n```\n")
	if !found {
		t.Fatal("the guide has no users.conf")
	}
	config := filepath.Join(t.TempDir(), "users.conf")
	if err := os.WriteFile(config, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	s := enginetest.Start(t, func(c *embedded.Config) { c.File = config })
	as := func(user string) *Records {
		t.Helper()
		e := enginetest.Connect(t, engine.Config{URL: strings.Replace(s.ClientURL(), "nats://", "nats://"+user+":pw@", 1), Patience: 250 * time.Millisecond})
		if user == "admin" {
			if err := e.Setup(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		r, err := Open(t.Context(), e)
		if err != nil {
			t.Fatalf("%s: %v", user, err)
		}
		return r
	}
	as("admin")
	node, ctx := as("node"), t.Context()
	said, err := node.PutNode(ctx, Node{Node: "a"}, Entry{})
	if err == nil {
		_, err = node.PutNode(ctx, Node{Node: "a"}, said)
	}
	if _, again := node.PutNode(ctx, Node{Node: "a"}, said); !errors.Is(again, ErrChanged) {
		t.Errorf("over what was written before: %v", again)
	}
	held, leased := node.TakeLease(ctx, Lease{Node: "a"})
	if leased == nil {
		held, leased = node.RenewLease(ctx, Lease{Node: "a", Nodes: 3}, held)
	}
	_, had := node.PutHaving(ctx, "a", "catalog", Having{Version: 1}, Entry{})
	p := rollout.Progress{Order: "x", Waves: [][]string{{"a"}, {"b"}}}
	_, progressed := node.SetProgress(ctx, "catalog", p, Entry{})
	read, _, unread := node.Progress(ctx, "catalog")
	if read != nil && len(read.Waves) != 2 {
		t.Errorf("%+v", read)
	}
	if err := errors.Join(err, leased, progressed, unread, node.EndLease(ctx, held), had,
		node.DropWaves(ctx, "catalog", p), node.PutJoined(ctx, Joined{Node: "a"}), node.DeleteNode(ctx, "a")); err != nil {
		t.Error(err)
	}
	short, cancel := context.WithTimeout(ctx, 500*time.Millisecond) // a refusal is no answer
	defer cancel()
	if _, err := node.SetOrder(short, rollout.Order{ID: "y", Channel: "catalog", Version: 1}, Entry{}); !errors.Is(err, engine.ErrNotPermitted) {
		t.Errorf("a node orders: %v", err)
	}
	// Its waves are gone, so nobody takes that progress for one.
	if all, err := as("onlooker").Read(ctx); err != nil || len(all.Progress) != 0 {
		t.Errorf("%+v: %v", all, err)
	}
}
