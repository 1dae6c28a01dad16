package fleet

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"hotswap/internal/engine/enginetest"
	"hotswap/internal/fleetview"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
	"hotswap/internal/trust"
)

// signing is a world whose nodes trust one key, on an engine with the users of the guide.
type signing struct {
	*world
	nats *nats.Conn // of a hostile client, which has the rights of a node
}

func newSigning(t *testing.T) *signing {
	t.Helper()
	guide, err := os.ReadFile("../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(guide), "```\n# users.conf\n")
	users, _, found := strings.Cut(rest, "\n```\n")
	if !found {
		t.Fatal("the guide has no users.conf")
	}
	for _, user := range []string{"ADMIN", "PUBLISHER", "NODE", "ONLOOKER"} {
		users = strings.ReplaceAll(users, "$"+user+"_PASSWORD", "pw")
	}
	s := &signing{world: &world{t: t, dir: filepath.Join(t.TempDir(), "engine"), port: enginetest.Port(t)}}
	s.users = filepath.Join(t.TempDir(), "users.conf")
	if err := os.WriteFile(s.users, []byte(users), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, s.key, err = ed25519.GenerateKey(nil); err != nil {
		t.Fatal(err)
	}
	s.startEngine()
	s.open(s.operator())
	if s.nats, err = nats.Connect(s.url("node")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.nats.Close)
	return s
}

// trusting has a node trust the key.
func (s *signing) trusting(cfg *Config) {
	cfg.Engine, cfg.TrustedKeys = s.url("node"), []string{trust.Text(s.key.Public().(ed25519.PublicKey))}
}

// publishSigned publishes a version, signed.
func (s *signing) publishSigned(text string) (path string) {
	s.t.Helper()
	path = content(s.t, text)
	if _, err := s.repo.Publish(s.t.Context(), "catalog", path, repository.PublishOptions{Key: s.key}); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// value reads what a key has.
func (s *signing) value(key string) []byte {
	s.t.Helper()
	kv, err := s.engine.Fleet(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	entry, err := kv.Get(s.t.Context(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	return entry.Value()
}

// plant puts a message under a key that the hostile client may not write: it keeps it under
// one that it may, and has the engine send its answer, which is that message, there.
func (s *signing) plant(key string, value []byte, headers nats.Header) {
	s.t.Helper()
	kv, err := s.engine.Fleet(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	const mine = "$KV.hotswap-nodes.mine"
	if _, err := s.nats.RequestMsg(&nats.Msg{Subject: mine, Data: value, Header: headers}, time.Second); err != nil {
		s.t.Fatal(err)
	}
	_, err = s.nats.Request("$KV.hotswap-fleet."+key, value, 100*time.Millisecond)
	if err == nil {
		s.t.Fatal("it may write the key itself")
	}
	ask, _ := json.Marshal(map[string]string{"last_by_subj": mine})
	watch, err := kv.Watch(s.t.Context(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	defer watch.Stop()
	for entry := range watch.Updates() { // what there is
		if entry == nil {
			break
		}
	}
	if err := s.nats.PublishRequest("$JS.API.DIRECT.GET.KV_hotswap-nodes", "$KV.hotswap-fleet."+key, ask); err != nil {
		s.t.Fatal(err)
	}
	select {
	case <-watch.Updates():
	case <-time.After(10 * time.Second):
		s.t.Fatalf("%s can't be written in this way any more: say so in the guide", key)
	}
}

// TestWhatAHostileClientPutsUnderTheKeysOfOrdersMovesNobody: it has the rights of a node, and
// with them it can write every key.
func TestWhatAHostileClientPutsUnderTheKeysOfOrdersMovesNobody(t *testing.T) {
	t.Parallel()
	s := newSigning(t)
	one := s.publishSigned("catalog@1")
	s.publishSigned("catalog@2")
	s.publishSigned("catalog@3")
	a := s.program("a", one, s.trusting)
	s.rollout(2, rollout.Plan{})
	a.has(2)
	s.phase(rollout.Done, 2)
	s.order("catalog", func(before *rollout.Order, _ bool) (rollout.Order, error) {
		return rollout.NewRollback("back", 1, *before)
	})
	a.has(1)
	signedRollback := s.value("order.catalog")
	s.rollout(3, rollout.Plan{})
	a.has(3)
	s.phase(rollout.Done, 3)

	refused := func(what, words string) {
		t.Helper()
		eventually(t, what+" is refused", func() bool { return strings.Contains(a.status().Refused, words) })
	}
	stays := func() {
		t.Helper()
		a.stop()
		a.start() // what it has obeyed is on its disk
		eventually(t, "it knows what it has", func() bool { return a.status().Version != 0 })
		if got := a.content(); got != "catalog@3" {
			t.Fatalf("it reads %s", got)
		}
	}
	s.plant("order.catalog", signedRollback, nil)
	refused("an old rollback", "is obeyed already")
	stays()
	refused("an old rollback, after a restart,", "is obeyed already")

	forged, err := json.Marshal(map[string]any{"text": rollout.Order{ID: "x", Channel: "catalog", Kind: rollout.Rollback, Version: 1,
		Newest: 9, Serial: 1 << 60}})
	if err != nil {
		t.Fatal(err)
	}
	s.plant("order.catalog", forged, nil)
	refused("an order without a signature", "it is not signed")
	stays()

	s.plant("order.catalog", nil, nats.Header{"KV-Operation": {"DEL"}})
	stays()

	// Pins: one is given, and taken away by somebody who may not.
	s.pin("a", 2)
	a.has(2)
	pinned := s.value("pin.catalog.a")
	s.plant("pin.catalog.a", nil, nats.Header{"KV-Operation": {"DEL"}})
	a.stop()
	a.start()
	b := s.program("b", one, s.trusting)
	s.publishSigned("catalog@4")
	s.rollout(4, rollout.Plan{})
	b.has(4)
	s.phase(rollout.Done, 4)
	if got := a.content(); got != "catalog@2" {
		t.Errorf("it is pinned to 2, and reads %s", got)
	}
	s.pin("a", 0)
	a.has(4)
	s.plant("pin.catalog.a", pinned, nil)
	refused("an old pin", "is obeyed already")
}

// TestOrdersThatAreNotSignedHaltWithTheReason: whoever forgets the key reads why nothing moves.
func TestOrdersThatAreNotSignedHaltWithTheReason(t *testing.T) {
	t.Parallel()
	s := newSigning(t)
	one := s.publishSigned("catalog@1")
	s.publishSigned("catalog@2")
	a := s.program("a", one, s.trusting)
	s.rollout(1, rollout.Plan{})
	s.phase(rollout.Done, 1)
	s.recs = s.recs.SignedWith(nil)
	s.rollout(2, rollout.Plan{})
	if halted := s.phase(rollout.Halted, 2); !strings.Contains(fleetview.Failures(halted.Failed), "a: the order is not trusted: it is not signed") {
		t.Errorf("%+v", halted)
	}
	if got := a.content(); got != "catalog@1" {
		t.Errorf("it reads %s", got)
	}
	s.recs = s.recs.SignedWith(s.key)
	s.rollout(2, rollout.Plan{})
	a.has(2)
	if r := a.status().Refused; r != "" {
		t.Errorf("refused: %s", r)
	}
}

// TestAnOrderMadeFromAnOldOneIsRefused: somebody has put an old order there, and an operator
// halts it, resumes it, or orders the next version from it.
func TestAnOrderMadeFromAnOldOneIsRefused(t *testing.T) {
	t.Parallel()
	s := newSigning(t)
	one := s.publishSigned("catalog@1")
	s.publishSigned("catalog@2")
	a := s.program("a", one, s.trusting)
	s.rollout(2, rollout.Plan{})
	a.has(2)
	s.order("catalog", func(before *rollout.Order, _ bool) (rollout.Order, error) {
		return rollout.NewRollback("back", 1, *before)
	})
	a.has(1)
	old := s.value("order.catalog")
	s.rollout(2, rollout.Plan{})
	a.has(2)
	s.phase(rollout.Done, 2)
	s.plant("order.catalog", old, nil)
	s.order("catalog", func(before *rollout.Order, _ bool) (rollout.Order, error) { return before.Resume(), nil })
	eventually(t, "it is refused", func() bool { return strings.Contains(a.status().Refused, "it was made from one of") })
	if got := a.content(); got != "catalog@2" {
		t.Errorf("it reads %s", got)
	}
	// Afresh, nothing of it is in the next one.
	_, entry, err := s.recs.Order(context.Background(), "catalog")
	if err != nil {
		t.Fatal(err)
	}
	entry.Afresh = true
	s.publishSigned("catalog@3")
	o, err := rollout.NewRollout("afresh", "catalog", 3, rollout.Plan{}, nil, false)
	if err == nil {
		_, err = s.recs.SetOrder(t.Context(), o, entry)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.has(3)
}
