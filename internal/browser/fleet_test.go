package browser

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/driver"
	"hotswap/fleet"
	"hotswap/internal/engine"
	"hotswap/internal/engine/embedded"
	"hotswap/internal/orders"
	"hotswap/internal/records"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
	"hotswap/internal/testenv"
	"hotswap/sockserver"
)

// aFleet is an engine with three nodes of the channel catalog.
type aFleet struct {
	t      *testing.T
	engine *embedded.Server
	desk   orders.Desk
	repo   *repository.Repository
	recs   *records.Records
	nodes  []*fleet.Node
}

func startFleet(t *testing.T) *aFleet {
	t.Helper()
	f := &aFleet{t: t}
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	var err error
	f.engine, err = embedded.Start(embedded.Config{Dir: t.TempDir(), Port: -1, Lax: true})
	must(err)
	t.Cleanup(f.engine.Stop)
	e, err := engine.Connect(t.Context(), engine.Config{URL: f.engine.ClientURL()})
	must(err)
	t.Cleanup(e.Close)
	f.repo, err = repository.Open(t.Context(), e, nil)
	must(err)
	f.recs, err = records.Open(t.Context(), e)
	must(err)
	f.desk = orders.Desk{Records: f.recs, Versions: f.repo}
	for _, name := range []string{"web-1", "web-2", "web-3"} {
		path := filepath.Join(t.TempDir(), "catalog.sqlite3")
		makeDatabase(t, path, "one", tables)
		db, err := sql.Open(driver.Name, "file:"+path)
		must(err)
		t.Cleanup(func() { db.Close() })
		node, err := fleet.Join(t.Context(), fleet.Config{Engine: f.engine.ClientURL(), Node: name, Databases: map[string]string{"catalog": path},
			Diverged: fleet.Replace, Health: func(ctx context.Context, _ fleet.Version) error {
				var name string
				if err := db.QueryRowContext(ctx, "SELECT name FROM item").Scan(&name); err != nil || name != "bad" {
					return err
				}
				return errors.New("<b>its item is bad</b>")
			}})
		must(err)
		t.Cleanup(func() { node.Close() })
		f.nodes = append(f.nodes, node)
	}
	return f
}

// publish publishes a database of that content.
func (f *aFleet) publish(name string) uint64 {
	f.t.Helper()
	path := filepath.Join(f.t.TempDir(), "next.sqlite3")
	makeDatabase(f.t, path, name, tables)
	p, err := f.repo.Publish(f.t.Context(), "catalog", path, repository.PublishOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	return p.Number
}

func (f *aFleet) rollout(id string, version uint64, plan rollout.Plan) {
	f.t.Helper()
	_, err := f.desk.Change(f.t.Context(), "catalog", false, func(before *rollout.Order, done bool) (rollout.Order, error) {
		return rollout.NewRollout(id, "catalog", version, plan, before, done)
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// TestAFleetIsWatchedHaltedAndRolledBack: on the page of a program that is a node.
func TestAFleetIsWatchedHaltedAndRolledBack(t *testing.T) {
	f := startFleet(t)
	p := start(t, "production.sqlite3", sockserver.Config{UI: sockserver.UI{AllowPush: true, Fleet: f.nodes[0]}})
	b := open(t, p.url())
	b.sees("#fleet", "Fleet: catalog", "nothing was rolled out yet")
	f.rollout("first", f.publish("first"), rollout.Plan{})
	b.sees("#fleet", "catalog@1 done", "3 nodes", "wave 1: 3 of 3 nodes swapped")
	f.rollout("second", f.publish("second"), rollout.Plan{Canary: 1, Approve: true})
	b.sees("#fleet", "waits for approval", "wave 1: 1 of 1 node swapped", "wave 2: not open; 2 of 2 nodes prepared", "catalog@2\n1 node", "catalog@1\n2 nodes")
	b.picture("fleet-waves")
	b.press("Halt the rollout")
	b.press("Leave it")
	b.press("Halt the rollout")
	b.press("Halt")
	b.sees("#fleet", "catalog@2 halted")
	b.press("Roll back")
	b.press("Roll back all nodes")
	b.sees("#fleet", "rollback to catalog@1 done", "wave 1: 3 of 3 nodes swapped")
	f.rollout("third", f.publish("bad"), rollout.Plan{Canary: 1})
	b.sees("#fleet", "catalog@3 halted", "Failed", "<b>its item is bad</b>")
	b.picture("fleet-halted")
	b.sees("article", "production.sqlite3")
	f.engine.Stop()
	b.sees("#fleet .warning", "engine")
	b.sees("#state", "live") // of the program
	b.silent("502")
}

// TestWithoutLeaveAFleetIsOnlyLookedAt, and a fleet that there is not is not asked for.
func TestWithoutLeaveAFleetIsOnlyLookedAt(t *testing.T) {
	f := startFleet(t)
	f.rollout("first", f.publish("first"), rollout.Plan{Canary: 1, Approve: true})
	p := start(t, "production.sqlite3", sockserver.Config{UI: sockserver.UI{Fleet: f.nodes[0]}})
	b := open(t, p.url())
	b.sees("#fleet", "Fleet: catalog", "wave 2")
	if text := b.text("#fleet"); strings.Contains(text, "Halt") || strings.Contains(text, "Roll back") {
		t.Errorf("it offers a change: %s", text)
	}
	for _, path := range []string{"v1/fleet/halt?channel=catalog", "v1/fleet/rollback?channel=catalog"} {
		if status := eval[int](b, `fetch("`+path+`", { method: "POST" }).then((r) => r.status)`); status != http.StatusForbidden {
			t.Errorf("%s is answered with %d", path, status)
		}
	}
	b.silent("403")
}

// TestTheCommandServesAPageOfTheFleetAlone: without any program.
func TestTheCommandServesAPageOfTheFleetAlone(t *testing.T) {
	f := startFleet(t)
	f.rollout("first", f.publish("first"), rollout.Plan{Canary: 1, Approve: true})
	b := open(t, startUI(t, "fleet", "ui", "--allow-changes", "--engine", f.engine.ClientURL()))
	b.sees("#fleet", "Fleet: catalog", "waits for approval")
	b.sees("#state", "live")
	b.picture("fleet-alone")
	b.press("Halt the rollout")
	b.press("Halt")
	b.sees("#fleet", "catalog@1 halted")
	testenv.Until(t, "the order is halted", func() bool {
		o, _, err := f.recs.Order(t.Context(), "catalog")
		return err == nil && o != nil && o.Halted
	})
	b.silent()
}
