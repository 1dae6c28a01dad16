package records

import (
	"context"
	"errors"
	"testing"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/engine/embedded"
	"hotswap/internal/rollout"
)

func open(t *testing.T) (*Records, *engine.Engine) {
	t.Helper()
	server, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Port: -1, Lax: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	e, err := engine.Connect(t.Context(), engine.Config{URL: server.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	r, err := Open(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return r, e
}

func TestOfTwoWhoHaveReadTheSameOnlyOneWrites(t *testing.T) {
	r, _ := open(t)
	o := rollout.Order{ID: "a", Channel: "catalog", Version: 1}
	if _, err := r.SetOrder(t.Context(), o, Entry{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.SetOrder(t.Context(), o, Entry{}); !errors.Is(err, ErrChanged) {
		t.Errorf("an order is made twice: %v", err)
	}
	read, entry, err := r.Order(t.Context(), "catalog")
	if err != nil || read.Version != 1 || entry.At.IsZero() {
		t.Fatalf("%+v, %+v: %v", read, entry, err)
	}
	told, cancel := context.WithCancel(t.Context())
	r.WatchChannels(told, []string{"catalog"}, "", func(c Change) {
		if c.Order != nil && (c.Revision != entry.Revision || !c.At.Equal(entry.At)) {
			t.Errorf("told is %+v, and read %+v", c.Entry, entry)
		}
		cancel()
	})
	if _, err := r.SetOrder(t.Context(), o.Halt(), entry); err != nil {
		t.Fatal(err)
	}
	if _, err := r.SetOrder(t.Context(), o, entry); !errors.Is(err, ErrChanged) {
		t.Errorf("an order that was changed is changed: %v", err)
	}
	if none, _, err := r.Pin(t.Context(), "catalog", "web-1"); err != nil || none != nil {
		t.Errorf("%+v: %v", none, err)
	}
}

func TestTheLeaseIsOneNodes(t *testing.T) {
	r, _ := open(t)
	mine, yours := Lease{Node: "a", Instance: "1"}, Lease{Node: "b", Instance: "2"}
	held, err := r.TakeLease(t.Context(), mine)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.TakeLease(t.Context(), yours); !errors.Is(err, ErrChanged) {
		t.Errorf("taken twice: %v", err)
	}
	renewed, err := r.RenewLease(t.Context(), mine, held)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.RenewLease(t.Context(), mine, held); !errors.Is(err, ErrChanged) {
		t.Errorf("renewed by who has an older one: %v", err)
	}
	if err := r.EndLease(t.Context(), renewed); err != nil {
		t.Fatal(err)
	}
	if _, err := r.TakeLease(t.Context(), yours); err != nil {
		t.Errorf("it was given back: %v", err)
	}
}

func TestWhatIsDamagedIsLeftOut(t *testing.T) {
	r, e := open(t)
	kv, err := e.Fleet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{
		"order.broken":  "{",
		"order.foreign": `{"text":{"id":"a","channel":"catalog","version":9}}`,
		"order.right":   `{"text":{"id":"a","channel":"right","version":9}}`,
	} {
		if _, err := kv.PutString(t.Context(), key, value); err != nil {
			t.Fatal(err)
		}
	}
	all, err := r.Read(t.Context())
	if err != nil || len(all.Orders) != 1 || all.Orders["right"].Version != 9 {
		t.Errorf("%+v: %v", all, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen := 0
	r.WatchChannels(ctx, nil, "", func(c Change) {
		if c.Order != nil {
			seen++
		}
		if c.Kind == Caught {
			cancel()
		}
	})
	if seen != 1 {
		t.Errorf("%d orders", seen)
	}
	if _, _, err := r.Order(t.Context(), "broken"); err == nil {
		t.Error("a damaged order is read")
	}
}

// TestHowANodeHasGoneIsRead: one that has said so, and one that is heard no more.
func TestHowANodeHasGoneIsRead(t *testing.T) {
	t.Parallel()
	r, e := open(t)
	for _, name := range []string{"ended", "killed"} {
		if err := r.PutJoined(t.Context(), Joined{Node: name, Channels: []string{"catalog"}}); err != nil {
			t.Fatal(err)
		}
	}
	const soon = time.Second // the least that the engine takes
	if _, err := r.PutNode(t.Context(), Node{Node: "ended"}, Entry{}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.PutTTL(t.Context(), r.nodes, nodeKey("killed"), []byte(`{"node":"killed"}`), soon); err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteNode(t.Context(), "ended"); err != nil {
		t.Fatal(err)
	}
	ctx, expired := context.WithTimeout(t.Context(), 30*time.Second)
	defer expired()
	r.WatchNodes(ctx, func(c Change) {
		if c.Gone && c.Node == "killed" {
			expired()
		}
	})
	all, err := r.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	killed, ended := all.Left["killed"], all.Left["ended"]
	if len(all.Nodes) != 0 || len(all.Joined) != 2 || killed.Ended || !ended.Ended || killed.At.Sub(ended.At) < soon/2 {
		t.Errorf("%+v", all)
	}
}

// TestANodeWhoseRecordDoesNotExpireDoesNotAnswer: the engine keeps it for an hour longer if its
// clock is set back by that.
func TestANodeWhoseRecordDoesNotExpireDoesNotAnswer(t *testing.T) {
	r, _ := open(t)
	if _, err := r.PutNode(t.Context(), Node{Node: "a"}, Entry{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.TakeLease(t.Context(), Lease{Node: "a"}); err != nil {
		t.Fatal(err)
	}
	all, err := r.Read(t.Context())
	if err != nil || len(all.Nodes) != 1 || all.LeaseAge > LeaseTTL || all.LeaseAt.IsZero() {
		t.Fatalf("%+v: %v", all, err)
	}
	at := all.Nodes["a"].At
	for _, now := range []time.Time{at.Add(time.Hour), at.Add(-time.Hour)} {
		later := Everything{Nodes: map[string]Node{}, Left: map[string]Left{}}
		later.add(Change{Kind: ANode, Node: "a", Entry: Entry{At: at}, Record: &Node{Node: "a"}}, now)
		later.add(Change{Kind: TheLease, Entry: Entry{At: at}, Lease: &Lease{Node: "a"}}, now)
		if len(later.Nodes) != 0 || later.Left["a"].At.IsZero() || later.LeaseAge != time.Hour {
			t.Errorf("%+v", later)
		}
	}
}
