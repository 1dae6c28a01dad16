package fleet

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"hotswap/internal/engine/embedded"
	"hotswap/internal/fleetview"
	"hotswap/internal/rollout"
	"hotswap/swapper"
)

func TestAVersionGoesToEveryNodeInWaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a, b, c := w.program("a", one, nil), w.program("b", one, nil), w.program("c", "", nil)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{Canary: 1, Waves: []int{50}})
	for _, p := range []*program{a, b, c} {
		p.has(2)
	}
	done := w.phase(rollout.Done, 2)
	if len(done.Waves) != 3 || len(done.Failed) != 0 {
		t.Errorf("%+v", done)
	}
}

func TestANodeServesWithoutTheEngineAndCatchesUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	w.publish("catalog")
	w.server.Stop()
	a := w.program("a", one, nil) // joins although nothing is there
	if got := a.content(); got != "catalog@1" {
		t.Fatal(got)
	}
	eventually(t, "the status says what is missing", func() bool { s := a.node.Status(); return !s.Connected && s.Away != "" })
	w.startEngine()
	eventually(t, "it is connected", func() bool { return a.node.Status().Connected })
	w.rollout(2, rollout.Plan{})
	a.has(2)
	w.phase(rollout.Done, 2)
	w.server.Stop()
	if got := a.content(); got != "catalog@2" {
		t.Fatal(got)
	}
	w.startEngine()
	w.publish("catalog")
	w.rollout(3, rollout.Plan{})
	a.has(3)
}

// TestAnEngineThatIsAHoleHoldsNothingUp: who connects there hears nothing, and is not refused.
func TestAnEngineThatIsAHoleHoldsNothingUp(t *testing.T) {
	t.Parallel()
	hole, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hole.Close() })
	quick := func(what string, do func()) {
		t.Helper()
		began := time.Now()
		do()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s took %v", what, took)
		}
	}
	p := &program{t: t, path: content(t, "catalog@1")}
	p.cfg = Config{Engine: "nats://" + hole.Addr().String(), Node: "a", Databases: map[string]string{"catalog": p.path}}
	quick("to join", p.start)
	quick("its status", func() {
		if s := p.node.Status(); s.Connected || s.Away == "" {
			t.Errorf("%+v", s)
		}
	})
	quick("to leave", p.stop)
}

func TestADatabaseThatWasWrittenToIsLeftAloneOrReplacedWithABackup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a := w.program("a", one, nil)
	b := w.program("b", one, func(c *Config) { c.Diverged = Replace })
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	for _, p := range []*program{a, b} {
		if _, err := p.db.Exec("INSERT INTO catalog VALUES ('ours', NULL)"); err != nil {
			t.Fatal(err)
		}
	}
	w.publish("catalog")
	w.rollout(2, rollout.Plan{MaxFailed: 1})
	b.has(2)
	a.has(1)
	if done := w.phase(rollout.Done, 2); len(done.Failed) != 1 || !strings.Contains(done.Failed[0].Why, "the live database was written to since catalog@1") {
		t.Errorf("%+v", done)
	}
	if s := a.status(); s.Content != "the live database was written to since catalog@1" || s.Failed == "" {
		t.Errorf("%+v", s)
	}
	a.stop() // what it is is known after a restart, too
	a.start()
	eventually(t, "it is known again", func() bool { return a.status().Content == "the live database was written to since catalog@1" })
	kept, err := swapper.Backups(b.path)
	if err != nil || len(kept) != 1 {
		t.Fatalf("%+v: %v", kept, err)
	}
	if got := rows(t, kept[0].Path); got != 2 {
		t.Errorf("the backup has %d rows", got)
	}
}

func TestAnotherOrderInTheMidstTakesNobodyBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	label := func(c *Config) { c.Labels = map[string]string{"name": c.Node} }
	a, b := w.program("a", one, label), w.program("b", one, label)
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	w.publish("catalog")
	w.publish("catalog")
	w.rollout(2, rollout.Plan{Canary: 1, Soak: time.Hour})
	w.phase(rollout.Soaking, 2)
	w.rollout(3, rollout.Plan{Select: map[string]string{"name": "b"}})
	w.phase(rollout.Done, 3)
	b.has(3)
	a.has(2)
	if n := a.status().Swaps; n != 1 {
		t.Errorf("a has swapped %d times", n)
	}
}

func TestAPinHoldsANodeAndItsEndLetsItFollow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a, b := w.program("a", one, nil), w.program("b", one, nil)
	w.publish("catalog")
	w.publish("catalog")
	w.pin("a", 3)
	a.has(3)
	w.rollout(2, rollout.Plan{})
	b.has(2)
	w.phase(rollout.Done, 2)
	a.has(3)
	w.pin("a", 0)
	a.has(2)
}

func TestANodeThatTheEngineRefusesSaysSoAndTriesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	w.server.Stop()
	guarded, err := embedded.Start(embedded.Config{Dir: w.dir, Port: w.port, Lax: true, Adjust: func(o *server.Options) { o.Username, o.Password = "a", "b" }})
	if err != nil {
		t.Fatal(err)
	}
	a := w.program("a", one, nil)
	eventually(t, "it says why", func() bool { return strings.Contains(a.node.Status().Away, "refuses the credentials") })
	eventually(t, "it is refused several times", func() bool {
		closed, err := guarded.Connz(&server.ConnzOptions{State: server.ConnClosed})
		return err == nil && closed.NumConns >= 3
	})
	guarded.Stop()
	w.startEngine()
	eventually(t, "it is connected", func() bool { return a.node.Status().Connected })
}

func TestAVersionThatTheDiskIsTooSmallForIsNotFetched(t *testing.T) {
	t.Parallel()
	if _, err := unnamed(t.TempDir(), 1<<60); !errors.Is(err, swapper.ErrNoSpace) || !strings.Contains(err.Error(), "must stay free for the live database") {
		t.Error(err)
	}
}

func TestANodeThatLostItsDiskComesToWhatTheFleetHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a, b := w.program("a", one, nil), w.program("b", one, nil)
	w.publish("catalog")
	w.rollout(2, rollout.Plan{})
	w.phase(rollout.Done, 2)
	b.has(2)
	a.stop()
	if err := os.Remove(a.path); err != nil {
		t.Fatal(err)
	}
	a.start()
	a.has(2)
	c := w.program("c", "", nil) // that is new
	c.has(2)
}

func TestANameThatTwoProgramsHaveIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a := w.program("a", one, nil)
	eventually(t, "it is connected", func() bool { return a.node.Status().Connected })
	b := w.program("a", one, nil)
	eventually(t, "one of them says so", func() bool { return a.node.Status().Twin != "" || b.node.Status().Twin != "" })
	b.stop()
}

func TestAnotherNodeTakesOverFromAController(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.publish("catalog")
	a := w.program("a", one, nil)
	eventually(t, "a controls", func() bool { return a.node.Status().Controller })
	b := w.program("b", one, nil)
	eventually(t, "b is connected", func() bool { return b.node.Status().Connected })
	a.stop()
	w.publish("catalog")
	w.rollout(2, rollout.Plan{})
	b.has(2)
	w.phase(rollout.Done, 2)
	if !b.node.Status().Controller {
		t.Error("it is done, and b is not the controller")
	}
}

// TestANodeThatHasEndedIsMissed although it was in no wave, since the order means it.
func TestANodeThatHasEndedIsMissed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := w.publish("catalog")
	w.program("a", file, nil)
	w.rollout(1, rollout.Plan{})
	w.phase(rollout.Done, 1)
	late := w.program("late", file, nil)
	late.has(1)
	shown := func() (n fleetview.Node) {
		all, err := w.recs.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, n = range fleetview.Of(all, "catalog").Channels[0].Nodes {
			if n.Node == "late" {
				return n
			}
		}
		return fleetview.Node{}
	}
	eventually(t, "the node says that it is there", func() bool { return shown().Answers() && shown().Have == 1 })
	late.stop()
	if n := shown(); !n.Ended || n.Since.IsZero() || n.Host == "" {
		t.Errorf("%+v", n)
	}
	late.start()
	eventually(t, "it is there again", func() bool { return shown().Answers() && shown().Have == 1 })
}

func TestAConfigurationThatCantWorkIsRefused(t *testing.T) {
	t.Parallel()
	for want, cfg := range map[string]Config{
		"of a node":                    {Node: "web 3", Databases: map[string]string{"catalog": "x"}},
		"no Databases":                 {Node: "a"},
		"of a channel":                 {Node: "a", Databases: map[string]string{"a.b": "x"}},
		"have the same path":           {Node: "a", Databases: map[string]string{"a": "x", "b": "x"}},
		"not a public key":             {Node: "a", Databases: map[string]string{"a": "x"}, TrustedKeys: []string{"x"}},
		`may be "refuse" or "replace"`: {Node: "a", Databases: map[string]string{"a": "x"}, Diverged: "x"},
		"there is no NATS context":     {Node: "a", Databases: map[string]string{"a": "x"}, Context: "/nowhere"},
		"open the credentials file":    {Node: "a", Databases: map[string]string{"a": "x"}, Creds: "/nowhere"},
	} {
		if _, err := Join(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, and not %q", err, want)
		}
	}
}
