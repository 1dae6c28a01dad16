package driver_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/internal/lognote"
	"hotswap/internal/testenv"
)

// replaced is a pool on a database, stamped "old" with writes in its WAL, and a
// "new" one beside it.
type replaced struct {
	t          *testing.T
	live, next string
	pool       *sql.DB
	db         *driver.Database
	log        *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

// String returns all lines that were logged before.
func (s *syncBuffer) String() string {
	lognote.Flush(time.Minute)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var externalDrivers atomic.Int64

func startReplaced(t *testing.T, journal string, opts ...driver.Option) *replaced {
	t.Helper()
	dir := t.TempDir()
	r := &replaced{t: t, live: filepath.Join(dir, "live.db"), next: filepath.Join(dir, "next.db"), log: &syncBuffer{}}
	fill := func(path, stamp string) {
		db, err := sql.Open("sqlite3", "file:"+path+"?_journal="+journal)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for i := range 50 {
			if _, err := db.Exec("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, stamp TEXT); INSERT INTO t VALUES (?, ?)", i, stamp); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(r.live, "old")
	fill(r.next, "new")
	name := fmt.Sprintf("external-%d", externalDrivers.Add(1))
	sql.Register(name, driver.New(append(opts, driver.WithLogger(zerolog.New(r.log)))...))
	var err error
	if r.pool, err = sql.Open(name, "file:"+r.live+"?_journal="+journal); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.pool.Close() })
	r.write()
	r.db, _ = driver.Lookup(r.live)
	return r
}

// write leaves writes in the WAL, of the file that is live.
func (r *replaced) write() {
	r.t.Helper()
	for range 20 {
		if _, err := r.pool.Exec("INSERT INTO t (stamp) SELECT stamp FROM t LIMIT 1"); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *replaced) mv() {
	r.t.Helper()
	if err := os.Rename(r.next, r.live); err != nil {
		r.t.Fatal(err)
	}
}

// adopted waits until the connections are on the new file.
func (r *replaced) adopted() {
	r.t.Helper()
	testenv.Eventually(r.t, func() error {
		if g := r.db.Generation(); g != 2 {
			return fmt.Errorf("generation %d", g)
		}
		return nil
	})
}

func stamps(t *testing.T, db interface {
	QueryRow(string, ...any) *sql.Row
}) string {
	t.Helper()
	var s string
	if err := db.QueryRow("SELECT group_concat(DISTINCT stamp) || ' ' || count(*) FROM t").Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *replaced) sound() {
	r.t.Helper()
	var ok string
	if err := r.pool.QueryRow("PRAGMA integrity_check").Scan(&ok); err != nil || ok != "ok" {
		r.t.Errorf("integrity_check: %s, %v", ok, err)
	}
}

// TestAFileReplacedWhileItIsOpenedIsNoticed: the connection has the old one, and
// by the time that it is counted the new one is at the path.
func TestAFileReplacedWhileItIsOpenedIsNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, next := filepath.Join(dir, "live.sqlite3"), filepath.Join(dir, "next.sqlite3")
	for file, stamp := range map[string]string{path: "old", next: "new"} {
		db, err := sql.Open("sqlite3", file)
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, db, "CREATE TABLE t (v); INSERT INTO t VALUES ('"+stamp+"')")
		db.Close()
	}
	mv := sync.OnceValue(func() error { return os.Rename(next, path) })
	pool, err := sql.Open(register(t, driver.WithConnectHook(func(*sqlite3.SQLiteConn) error { return mv() })), path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	conn := connect(t, pool)
	d, _ := driver.Lookup(path)
	driver.Tick(d)
	var stamp string
	if err := conn.QueryRowContext(t.Context(), "SELECT v FROM t").Scan(&stamp); err != nil || stamp != "new" {
		t.Errorf("read %q, %v", stamp, err)
	}
}
