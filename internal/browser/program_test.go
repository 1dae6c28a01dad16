package browser

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/sockserver"
)

const prefix = "/admin/hotswap"

const tables = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL)"

// program is one that has a database and serves the page on a mux of its own.
type program struct {
	dir, path string
	db        *sql.DB
	server    *httptest.Server

	mu       sync.Mutex
	statuses map[string][]int // of the answers, by method and path
}

func start(t *testing.T, name string, cfg sockserver.Config) *program {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := &program{dir: dir, path: filepath.Join(dir, name), statuses: map[string][]int{}}
	makeDatabase(t, p.path, "old", tables)
	p.db, err = sql.Open(driver.Name, "file:"+strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(p.path)+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.db.Close() })
	if err := p.db.Ping(); err != nil {
		t.Fatal(err)
	}
	cfg.DatabasePaths = []string{filepath.Join(dir, "*.sqlite3")}
	handler := sockserver.Handler(cfg)
	mux := http.NewServeMux()
	mux.Handle(prefix+"/", http.StripPrefix(prefix, handler))
	p.server = httptest.NewServer(p.noting(mux))
	t.Cleanup(func() {
		p.server.CloseClientConnections()
		p.server.Close()
	})
	return p
}

// noting notes how each request was answered.
func (p *program) noting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noted := &statusWriter{ResponseWriter: w}
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			key := r.Method + " " + strings.TrimPrefix(r.URL.Path, prefix)
			p.statuses[key] = append(p.statuses[key], noted.status)
		}()
		next.ServeHTTP(noted, r)
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// answered returns the statuses of the requests that have been answered.
func (p *program) answered(request string) []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]int(nil), p.statuses[request]...)
}

func (p *program) url() string { return p.server.URL + prefix + "/" }

// name returns what the database holds.
func (p *program) name(t *testing.T) (name string) {
	t.Helper()
	if err := p.db.QueryRowContext(context.Background(), "SELECT name FROM item").Scan(&name); err != nil {
		t.Fatal(err)
	}
	return name
}

// file makes a database to push.
func (p *program) file(t *testing.T, base, name string, statements ...string) string {
	t.Helper()
	dir := filepath.Join(p.dir, "new")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, base)
	makeDatabase(t, path, name, append([]string{tables}, statements...)...)
	return path
}

func makeDatabase(t *testing.T, path, name string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(path))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec("INSERT INTO item (name) VALUES (?)", name); err != nil {
		t.Fatal(err)
	}
}

// notes makes a file that is no database, and too long for a program to read on after
// its refusal.
func (p *program) notes(t *testing.T) string {
	t.Helper()
	path := filepath.Join(p.dir, "notes.txt")
	if err := errors.Join(os.WriteFile(path, []byte("these are notes"), 0o600), os.Truncate(path, 64<<20)); err != nil {
		t.Fatal(err)
	}
	return path
}
