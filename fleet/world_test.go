package fleet

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"hotswap/driver"
	"hotswap/internal/engine"
	"hotswap/internal/engine/embedded"
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
	testenv.NoPeers()
	testenv.Parallel(8)
	goleak.VerifyTestMain(m)
}

// world is an engine and the nodes on it.
type world struct {
	t      *testing.T
	server *embedded.Server
	dir    string // of the engine
	port   int
	users  string // a configuration with users
	engine *engine.Engine
	repo   *repository.Repository
	recs   *records.Records
	orders int
}

func init() { zerolog.TimeFieldFormat = "05.000" }

func newWorld(t *testing.T) *world {
	w := &world{t: t, dir: filepath.Join(t.TempDir(), "engine"), port: -1}
	w.startEngine()
	w.open(w.server.ClientURL())
	return w
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
}

func (w *world) startEngine() {
	w.t.Helper()
	server, err := embedded.Start(embedded.Config{Dir: w.dir, Port: w.port, File: w.users, Lax: true})
	if err != nil {
		w.t.Fatal(err)
	}
	w.server = server
	fmt.Sscanf(server.ClientURL()[strings.LastIndexByte(server.ClientURL(), ':')+1:], "%d", &w.port)
	w.t.Cleanup(server.Stop)
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
	if err == nil {
		_, err = w.recs.SetOrder(w.t.Context(), o, entry)
	}
	if err != nil {
		w.t.Fatal(err)
	}
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

// program is a program that has a database of the channel catalog, and is a node.
type program struct {
	t    *testing.T
	dir  string
	path string
	db   *sql.DB
	node *Node
	cfg  Config
}

// program starts one, with a database that is a copy of from, or with none.
func (w *world) program(name, from string, adjust func(*Config)) *program {
	w.t.Helper()
	p := &program{t: w.t, dir: w.t.TempDir()}
	p.path = filepath.Join(p.dir, "catalog.sqlite3")
	if from != "" {
		data, err := os.ReadFile(from)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(p.path, data, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	p.cfg = Config{Engine: w.server.ClientURL(), Node: name, Databases: map[string]string{"catalog": p.path}, HealthInterval: 50 * time.Millisecond,
		settle: 200 * time.Millisecond, doubt: 100 * time.Millisecond}
	if testing.Verbose() {
		p.cfg.Logger = zerolog.New(zerolog.NewTestWriter(w.t)).With().Timestamp().Logger()
	}
	if adjust != nil {
		adjust(&p.cfg)
	}
	w.t.Cleanup(p.stop)
	p.start()
	return p
}

func (p *program) start() {
	p.t.Helper()
	var err error
	if p.db, err = sql.Open(driver.Name, "file:"+p.path); err != nil {
		p.t.Fatal(err)
	}
	if p.node, err = Join(context.Background(), p.cfg); err != nil {
		p.t.Fatal(err)
	}
}

func (p *program) stop() {
	if p.node != nil {
		p.node.Close()
		p.db.Close()
		p.node = nil
	}
}

// content is what the program reads.
func (p *program) content() string {
	var text string
	if err := p.db.QueryRow("SELECT content FROM catalog").Scan(&text); err != nil {
		return err.Error()
	}
	return text
}

func (p *program) status() DatabaseStatus { return p.node.Status().Databases["catalog"] }

// eventually waits until something is so. What a node has missed it is told when its watches
// begin anew, and that is waited for, too.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * resync)
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", 2*resync, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// has waits until the program has a version.
func (p *program) has(version uint64) {
	p.t.Helper()
	want := fmt.Sprintf("catalog@%d", version)
	eventually(p.t, p.cfg.Node+" has "+want, func() bool { return p.status().Version == version && p.content() == want })
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
	if version == 0 && before != nil {
		pin.From = before.Version
	}
	if err == nil {
		_, err = w.recs.SetPin(w.t.Context(), "catalog", node, pin, entry)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// rows counts those of a file to which nothing writes.
func rows(t *testing.T, path string) (n int) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro&immutable=1")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(*) FROM catalog").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
