package fleet

import (
	"crypto/ed25519"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"hotswap/internal/engine"
	"hotswap/internal/engine/embedded"
	"hotswap/internal/engine/enginetest"
	"hotswap/internal/records"
	"hotswap/internal/repository"
	"hotswap/internal/rollout"
	"hotswap/internal/testenv"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(scaleEnv); text != "" {
		if err := scaleProcess(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if os.Getenv(awakeEnv) != "" {
		stayAwake()
		return
	}
	testenv.NoPeers()
	testenv.Parallel(32)
	goleak.VerifyTestMain(m)
}

// world is an engine and the nodes on it.
type world struct {
	t      *testing.T
	server *embedded.Server
	dir    string // of the engine
	port   int
	users  string // a configuration with users
	adjust func(*server.Options)
	engine *engine.Engine
	repo   *repository.Repository
	recs   *records.Records
	orders int
	key    ed25519.PrivateKey // that signs what is ordered
}

func init() { zerolog.TimeFieldFormat = "05.000" }

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: filepath.Join(t.TempDir(), "engine"), port: enginetest.Port(t)}
	w.startEngine()
	w.open(w.operator())
	return w
}

// operator is the address of who orders.
func (w *world) operator() string {
	if w.users != "" {
		return w.url("admin")
	}
	return w.server.ClientURL()
}

// url is the address of a user.
func (w *world) url(user string) string {
	return strings.Replace(w.server.ClientURL(), "nats://", "nats://"+user+":pw@", 1)
}

// open connects the operator.
func (w *world) open(url string) {
	w.t.Helper()
	var err error
	if w.engine, err = engine.Connect(w.t.Context(), engine.Config{URL: url, Patient: true}); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.engine.Close)
	if w.repo, err = repository.Open(w.t.Context(), w.engine, nil); err != nil {
		w.t.Fatal(err)
	}
	if w.recs, err = records.Open(w.t.Context(), w.engine); err != nil {
		w.t.Fatal(err)
	}
	w.recs = w.recs.SignedWith(w.key)
}

func (w *world) startEngine() {
	w.t.Helper()
	started, err := embedded.Start(embedded.Config{Dir: w.dir, Port: w.port, File: w.users, Lax: true, Adjust: w.adjust})
	if err != nil {
		w.t.Fatal(err)
	}
	w.server = started
	w.t.Cleanup(started.Stop)
}

// copied is a copy of the engine's directory as it is now.
func (w *world) copied(t *testing.T) (dir string) {
	t.Helper()
	w.server.Stop()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(w.dir)); err != nil {
		t.Fatal(err)
	}
	w.startEngine()
	return dir
}

// content makes a database of a version's content, and returns its path.
func content(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "content.sqlite3")
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE catalog (content TEXT, filler BLOB);
		INSERT INTO catalog VALUES (?, randomblob(100000))`, text); err != nil {
		t.Fatal(err)
	}
	return path
}

// publish publishes a version whose content is its number, and returns its file.
func (w *world) publish(channel string) (path string) {
	w.t.Helper()
	all, err := w.repo.Versions(w.t.Context(), channel)
	if err != nil {
		w.t.Fatal(err)
	}
	path = content(w.t, fmt.Sprintf("%s@%d", channel, len(all)+1))
	if _, err := w.repo.Publish(w.t.Context(), channel, path, repository.PublishOptions{}); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// order writes the order that follows the one there is.
func (w *world) order(channel string, next func(before *rollout.Order, done bool) (rollout.Order, error)) {
	w.t.Helper()
	w.orders++
	before, entry, err := w.recs.Order(w.t.Context(), channel)
	if err != nil {
		w.t.Fatal(err)
	}
	progress, _, err := w.recs.Progress(w.t.Context(), channel)
	if err != nil {
		w.t.Fatal(err)
	}
	done := before != nil && progress != nil && progress.Of(*before) && progress.Phase == rollout.Done
	o, err := next(before, done)
	if err == nil && (before == nil || o.ID != before.ID) {
		o = o.Tagged(o.Version, w.tag(o.Version))
	}
	if err == nil {
		_, err = w.recs.SetOrder(w.t.Context(), o, entry)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// tag is that of a version.
func (w *world) tag(version uint64) string {
	w.t.Helper()
	p, err := w.repo.Manifest(w.t.Context(), repository.Version{Channel: "catalog", Number: version})
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Tag
}

func (w *world) rollout(version uint64, plan rollout.Plan) {
	w.t.Helper()
	w.order("catalog", func(before *rollout.Order, done bool) (rollout.Order, error) {
		return rollout.NewRollout(fmt.Sprint("order-", w.orders), "catalog", version, plan, before, done)
	})
}

func (w *world) rollback() {
	w.t.Helper()
	w.order("catalog", func(before *rollout.Order, _ bool) (rollout.Order, error) {
		return rollout.NewRollback(fmt.Sprint("order-", w.orders), 0, *before)
	})
}

// patience is how long a test waits: less than until a watch begins anew, since a node is to
// know without that.
const patience = resync * 3 / 4

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// phase waits for a phase of the rollout.
func (w *world) phase(phase rollout.Phase, version uint64) rollout.Progress {
	w.t.Helper()
	var last rollout.Progress
	eventually(w.t, string(phase), func() bool {
		o, _, err := w.recs.Order(w.t.Context(), "catalog")
		if err != nil || o == nil || o.Version != version {
			return false
		}
		p, _, err := w.recs.Progress(w.t.Context(), "catalog")
		if err != nil || p == nil || !p.Of(*o) {
			return false
		}
		last = *p
		return p.Phase == phase
	})
	return last
}

// pin pins a node to a version, or with 0 ends that.
func (w *world) pin(node string, version uint64) {
	w.t.Helper()
	before, entry, err := w.recs.Pin(w.t.Context(), "catalog", node)
	pin := rollout.Pin{Version: version}
	if version != 0 {
		pin.Tag = w.tag(version)
	}
	if err == nil {
		_, err = w.recs.SetPin(w.t.Context(), "catalog", node, pin.After(before), entry)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}
