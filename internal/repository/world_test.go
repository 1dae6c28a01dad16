package repository

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	"hotswap/internal/engine"
	"hotswap/internal/engine/embedded"
	"hotswap/internal/engine/enginetest"
	"hotswap/internal/testenv"
	"hotswap/internal/trust"
)

func TestMain(m *testing.M) {
	testenv.NoPeers()
	OpenObjects = openMemory
	testenv.Parallel(8)
	os.Exit(m.Run())
}

// world is an engine, and who publishes and fetches.
type world struct {
	t      testing.TB
	server *embedded.Server
	repo   *Repository
	rng    *rand.Rand
	dir    string
	// objects is the URL of the object storage that gets what is published, "" for the engine.
	objects string
}

// newWorld starts an engine of its own, so the test may run beside others.
func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	w := &world{t: t, server: enginetest.Start(t), rng: newRand(), dir: t.TempDir()}
	w.repo = w.open(nil)
	return w
}

// onEach runs a test with the chunks on the engine, and in object storage.
func onEach(t *testing.T, test func(*testing.T, *world)) {
	t.Run("engine", func(t *testing.T) { test(t, newWorld(t)) })
	t.Run("objects", func(t *testing.T) {
		w := newWorld(t)
		w.objects = newMemory(t)
		test(t, w)
	})
}

// in is the world in a subtest.
func (w *world) in(t testing.TB) *world {
	sub := *w
	sub.t = t
	return &sub
}

// connect is a connection of its own.
func (w *world) connect() *engine.Engine {
	w.t.Helper()
	return enginetest.Connect(w.t, engine.Config{URL: w.server.ClientURL()})
}

// open opens the repository as another one does.
func (w *world) open(trust trust.Keys) *Repository {
	w.t.Helper()
	r, err := Open(w.ctx(), w.connect(), trust)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) ctx() context.Context { return w.t.Context() }

// database makes a database of about that many bytes, which compress somewhat.
func (w *world) database(pageSize, bytes int) string {
	w.t.Helper()
	path := filepath.Join(w.dir, fmt.Sprintf("%d.sqlite3", w.rng.Uint64()))
	db := w.sqlite(path)
	defer db.Close()
	w.exec(db, fmt.Sprintf("PRAGMA page_size=%d", pageSize))
	w.exec(db, "CREATE TABLE item (id INTEGER PRIMARY KEY, body TEXT)")
	w.exec(db, `WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i+1 FROM n WHERE i < ?)
		INSERT INTO item SELECT i, hex(randomblob(200)) FROM n`, max(1, bytes/420))
	return path
}

func (w *world) sqlite(path string) *sql.DB {
	w.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_sync=0")
	if err != nil {
		w.t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

func (w *world) exec(db *sql.DB, text string, args ...any) {
	w.t.Helper()
	if _, err := db.Exec(text, args...); err != nil {
		w.t.Fatal(err)
	}
}

// change changes one row in n of a database.
func (w *world) change(path string, n int) {
	w.t.Helper()
	db := w.sqlite(path)
	defer db.Close()
	w.exec(db, "UPDATE item SET body = hex(randomblob(200)) WHERE abs(random()) % ? = 0", n)
}

func (w *world) publish(channel, path string, opts PublishOptions) Publication {
	w.t.Helper()
	if opts.Objects == "" {
		opts.Objects = w.objects
	}
	p, err := w.repo.Publish(w.ctx(), channel, path, opts)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// fetch fetches a version, and returns it with what travelled.
func (w *world) fetch(r *Repository, p Published, have ...string) ([]byte, Fetched) {
	w.t.Helper()
	content, last, err := w.tryFetch(r, p, have...)
	if err != nil {
		w.t.Fatal(err)
	}
	return content, last
}

func (w *world) tryFetch(r *Repository, p Published, have ...string) ([]byte, Fetched, error) {
	w.t.Helper()
	dst, err := os.Create(filepath.Join(w.t.TempDir(), "fetched"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer dst.Close()
	var local []Local
	for _, path := range have {
		f, err := os.Open(path)
		if err != nil {
			w.t.Fatal(err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			w.t.Fatal(err)
		}
		local = append(local, Local{f, info.Size()})
	}
	got := &furthest{}
	if err := r.Fetch(w.ctx(), p, dst, local, got.reached); err != nil {
		return nil, got.last, err
	}
	content, err := os.ReadFile(dst.Name())
	return content, got.last, err
}

// asPublished is what a published file is to be: the file, but for what SQLite's own copying
// may change in the header.
func (w *world) asPublished(path string) []byte {
	w.t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	return content
}

// same compares two databases, without the fields of the header that say nothing.
func same(a, b []byte) bool {
	if len(a) != len(b) || len(a) < 100 {
		return false
	}
	a, b = bytes.Clone(a), bytes.Clone(b)
	for _, field := range [][2]int{{18, 20}, {24, 28}, {40, 44}, {92, 100}} {
		clear(a[field[0]:field[1]])
		clear(b[field[0]:field[1]])
	}
	return bytes.Equal(a, b)
}

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
