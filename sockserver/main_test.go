package sockserver

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/internal/transfer"
	"hotswap/swapper"
)

func TestMain(m *testing.M) {
	testenv.NoPeers()
	if code, ran := testenv.OwnProcesses(); ran {
		os.Exit(code)
	}
	testenv.Parallel(8)
	goleak.VerifyTestMain(m)
}

// shortDir is a directory whose path leaves room for a socket's name.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "hs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	dir, err = filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// openDatabase opens a new database through the driver, with rows in it.
func openDatabase(t testing.TB, path string, rows int) *sql.DB {
	t.Helper()
	db := openDatabaseAt(t, path)
	if _, err := db.Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)"); err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		if _, err := db.Exec("INSERT INTO t (v) VALUES (?)", fmt.Sprint("row ", i)); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func openDatabaseAt(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver.Name, "file:"+path+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// startServer serves on sockets in dir; change may replace the operations.
func startServer(t testing.TB, dir string, cfg Config, change func(*api)) *Server {
	t.Helper()
	cfg.SocketPath = filepath.Join(dir, "s.sock")
	cfg.StderrSocketPath = filepath.Join(dir, "s.stderr.sock")
	cfg.Logger = zerolog.New(zerolog.NewTestWriter(t))
	a := newAPI(cfg, newProgram())
	if change != nil {
		change(a)
	}
	s, err := a.start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newTestClient(t testing.TB, s *Server) *Client {
	t.Helper()
	c := NewClient(ClientConfig{SocketPath: s.SocketPath(), StderrSocketPath: s.StderrSocketPath()})
	t.Cleanup(c.Close)
	return c
}

// readAll reads the source of a push as swapper.Push does by default: with its digest.
func readAll(src io.Reader, opts swapper.PushOptions) ([]byte, error) {
	if d, ok := src.(transfer.DigestedSource); ok && !opts.SkipIntegrityCheck {
		d.Digest()
	}
	return io.ReadAll(src)
}

// pushing sets the operation of a push to one that reads all of the body.
func pushing(then func(body []byte, err error, opts swapper.PushOptions) (swapper.Report, error)) func(*api) {
	return func(a *api) {
		a.push = func(_ context.Context, db *driver.Database, src io.Reader, opts swapper.PushOptions) (swapper.Report, error) {
			body, err := readAll(src, opts)
			return then(body, err, opts)
		}
	}
}

func dial(t testing.TB, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func makeDatabase(t testing.TB, path string, rows int) {
	t.Helper()
	db := openDatabase(t, path, rows)
	if _, err := db.Exec("PRAGMA journal_mode=DELETE"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func rowsIn(t testing.TB, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// reopen opens a database that is not to be a managed one.
func reopen(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
