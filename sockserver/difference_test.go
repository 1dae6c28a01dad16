package sockserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// farClient is a client on another machine, as far as it knows.
type farClient struct {
	*Client
	sent, got atomic.Int64 // bytes
}

func newFarClient(t testing.TB, socket, stderr string) *farClient {
	c := &farClient{}
	c.Client = NewClient(ClientConfig{SocketPath: socket, StderrSocketPath: stderr, Dial: func(ctx context.Context, path string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
		return countedConn{conn, c}, err
	}})
	t.Cleanup(c.Close)
	return c
}

type countedConn struct {
	net.Conn
	c *farClient
}

func (c countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.c.sent.Add(int64(n))
	return n, err
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.c.got.Add(int64(n))
	return n, err
}

// difference is a server with a live database of some 2 MB, and a copy of that, which is
// to be changed.
type difference struct {
	t      *testing.T
	dir    string
	live   *sql.DB
	server *Server
	far    *farClient
	copied string
}

func newDifference(t *testing.T, cfg Config, change ...func(*api)) *difference {
	dir := shortDir(t)
	d := &difference{t: t, dir: dir, live: openDatabaseAt(t, dir+"/db"), copied: filepath.Join(t.TempDir(), "copy")}
	if _, err := d.live.Exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
		INSERT INTO t SELECT i, hex(randomblob(500)) FROM n`); err != nil {
		t.Fatal(err)
	}
	cfg.DatabasePaths = []string{dir + "/db"}
	d.server = startServer(t, dir, cfg, func(a *api) {
		for _, c := range change {
			c(a)
		}
	})
	d.far = newFarClient(t, d.server.SocketPath(), d.server.StderrSocketPath())
	file, err := os.Create(d.copied)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := newTestClient(t, d.server).Snapshot(t.Context(), TheDatabase, file, SnapshotParams{}); err != nil {
		t.Fatal(err)
	}
	return d
}

// change changes rows of a database file.
func (d *difference) change(query string) {
	d.t.Helper()
	db := reopen(d.t, d.copied)
	defer db.Close()
	if _, err := db.Exec("PRAGMA journal_mode=DELETE;" + query); err != nil {
		d.t.Fatal(err)
	}
}

func (d *difference) open() *os.File {
	d.t.Helper()
	file, err := os.Open(d.copied)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { file.Close() })
	return file
}

// value is one of the live database.
func (d *difference) value(query string) (v string) {
	d.t.Helper()
	if err := d.live.QueryRow(query).Scan(&v); err != nil {
		d.t.Fatal(err)
	}
	return v
}

// nothingHeld fails unless no snapshot is held, and no file is left beside the database.
func (d *difference) nothingHeld() {
	d.t.Helper()
	held := &d.server.api.held
	testenv.Eventually(d.t, func() error {
		held.mu.Lock()
		n := len(held.byID)
		held.mu.Unlock()
		files, _ := filepath.Glob(d.dir + "/.db.*")
		if pulls := d.server.api.program.pulls.Load(); n+len(files)+int(pulls) > 0 {
			return fmt.Errorf("%d snapshots are held, %q, %d pulls", n, files, pulls)
		}
		return nil
	})
}

func TestAPushFromElsewhereSendsWhatDiffers(t *testing.T) {
	if !testenv.Apart(t) {
		return
	}
	d := newDifference(t, Config{})
	for _, test := range []struct {
		name, change string
		most         int64 // bytes
	}{
		{"nothing", "SELECT 1", 6 << 10},
		{"a row", "UPDATE t SET v = 'one' WHERE id = 700", 20 << 10},
		{"more rows", "INSERT INTO t (v) SELECT hex(zeroblob(500)) FROM t LIMIT 200", 40 << 10},
		{"fewer rows", "DELETE FROM t WHERE id > 1000; VACUUM", 800 << 10},
		{"all of them", "UPDATE t SET v = hex(randomblob(500))", 800 << 10},
	} {
		d.change(test.change)
		if _, err := d.live.Exec("INSERT INTO t (v) VALUES ('is replaced')"); err != nil {
			t.Fatal(err)
		}
		d.far.sent.Store(0)
		d.far.got.Store(0)
		file := d.open()
		report, err := d.far.Push(t.Context(), TheDatabase, file, PushParams{Backup: true})
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		data, err := os.ReadFile(d.copied)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(data)
		if !report.Swapped || report.Bytes != int64(len(data)) || report.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: %+v", test.name, report)
		}
		if wire := d.far.sent.Load() + d.far.got.Load(); wire > test.most {
			t.Errorf("%s: %d bytes of %d travelled", test.name, wire, len(data))
		} else {
			t.Logf("%s: %d bytes of %d", test.name, wire, len(data))
		}
		d.nothingHeld()
	}
	if n := d.value("SELECT count(*) FROM t WHERE v = 'is replaced'"); n != "0" {
		t.Errorf("%s rows of what was replaced", n)
	}
}

func TestAPullToElsewhereGetsWhatDiffers(t *testing.T) {
	d := newDifference(t, Config{})
	base, err := os.ReadFile(d.copied)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, change string
		base         bool
		most         int64
	}{
		{"nothing", "SELECT 1", true, 6 << 10},
		{"a row", "UPDATE t SET v = 'one' WHERE id = 700", true, 24 << 10},
		{"fewer rows", "DELETE FROM t WHERE id > 1000; VACUUM", true, 800 << 10},
		{"no older copy", "SELECT 1", false, 800 << 10},
	} {
		if _, err := d.live.Exec(test.change); err != nil {
			t.Fatal(err)
		}
		params := SnapshotParams{ID: NewID(), Dest: "here", Tag: true}
		if test.base {
			params.Base = d.open()
		}
		d.far.sent.Store(0)
		d.far.got.Store(0)
		var got bytes.Buffer // as standard output is
		report, err := d.far.Snapshot(t.Context(), TheDatabase, &got, params)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		sum := sha256.Sum256(got.Bytes())
		if report.Bytes != int64(got.Len()) || report.SHA256 != hex.EncodeToString(sum[:]) || report.Target != "here" || report.Source != d.dir+"/db" {
			t.Errorf("%s: %+v", test.name, report)
		}
		if wire := d.far.sent.Load() + d.far.got.Load(); wire > test.most {
			t.Errorf("%s: %d bytes of %d travelled", test.name, wire, got.Len())
		}
		var plain bytes.Buffer
		near, err := newTestClient(t, d.server).Snapshot(t.Context(), TheDatabase, &plain, SnapshotParams{Tag: true})
		if err != nil || !bytes.Equal(plain.Bytes(), got.Bytes()) || near.Tag != report.Tag || report.Tag == "" {
			t.Errorf("%s: it is not the database, %v, tags %q and %q", test.name, err, near.Tag, report.Tag)
		}
		d.nothingHeld()
	}
	if now, err := os.ReadFile(d.copied); err != nil || !bytes.Equal(now, base) {
		t.Errorf("the older copy has changed, %v", err)
	}
}

func TestAPushOfWhatDiffersMayBeRefusedLikeAnother(t *testing.T) {
	var pulls atomic.Int32
	d := newDifference(t, Config{}, func(a *api) {
		a.pull = func(ctx context.Context, db *driver.Database, dst io.Writer, opts swapper.PullOptions) (swapper.Report, error) {
			pulls.Add(1)
			return swapper.Pull(ctx, db, dst, opts)
		}
	})
	d.change("CREATE TABLE another (v)")
	_, err := d.far.Push(t.Context(), TheDatabase, d.open(), PushParams{})
	assertProblem(t, err, ProblemSchema)
	report, err := d.far.Push(t.Context(), TheDatabase, d.open(), PushParams{SkipSchemaCheck: true, DryRun: true})
	if err != nil || report.Swapped {
		t.Errorf("%+v, %v", report, err)
	}
	d.nothingHeld()
	if report, err = d.far.Push(t.Context(), TheDatabase, d.open(), PushParams{SkipSchemaCheck: true, IfChanged: report.SHA256}); err != nil || !report.Swapped {
		t.Errorf("%+v, %v", report, err)
	}
	before := pulls.Load()
	if report, err = d.far.Push(t.Context(), TheDatabase, d.open(), PushParams{IfChanged: report.SHA256}); err != nil || !report.Unchanged || pulls.Load() > before {
		t.Errorf("%+v, %v, %d snapshots", report, err, pulls.Load()-before)
	}
	d.nothingHeld()
}

func TestWholeIsWhole(t *testing.T) {
	d := newDifference(t, Config{})
	for range 2 {
		if _, err := d.far.Push(t.Context(), TheDatabase, d.open(), PushParams{Whole: true}); err != nil {
			t.Fatal(err)
		}
	}
	if d.far.sent.Load() < 4_000_000 {
		t.Errorf("%d bytes were sent", d.far.sent.Load())
	}
	d.far.got.Store(0)
	if _, err := d.far.Snapshot(t.Context(), TheDatabase, io.Discard, SnapshotParams{Whole: true, Base: d.open()}); err != nil || d.far.got.Load() < 2_000_000 {
		t.Errorf("%d bytes came, %v", d.far.got.Load(), err)
	}
}
