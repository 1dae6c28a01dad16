package swapper_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/swapper"
)

// service is a program's pool on a live database of its own.
type service struct {
	t    testing.TB
	dir  string
	path string
	pool *sql.DB
	db   *driver.Database
}

// start opens a pool on a new live database in dir with the fixture's schema,
// stamped "live".
func start(t testing.TB, dir, params string) *service {
	t.Helper()
	s := &service{t: t, dir: dir, path: filepath.Join(dir, "live.sqlite3")}
	makeDatabase(t, s.path, "live", 200)
	var err error
	// Of a parameter that is there twice the first counts.
	dsn := "file:" + s.path + "?" + strings.TrimPrefix(params+"&_txlock=immediate", "&")
	if s.pool, err = sql.Open(driver.Name, dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.pool.Close() })
	if err := s.pool.Ping(); err != nil {
		t.Fatal(err)
	}
	s.db, _ = driver.Lookup(s.path)
	return s
}

// unsynced are for fixtures, which need not outlast a power loss.
var unsynced = []string{"PRAGMA synchronous=OFF", "PRAGMA journal_mode=MEMORY"}

// makeDatabase writes a database with n rows that all say stamp.
func makeDatabase(t testing.TB, path, stamp string, n int) {
	t.Helper()
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, q := range append(slices.Clone(unsynced),
		"CREATE TABLE items (id INTEGER PRIMARY KEY, stamp TEXT NOT NULL, filler BLOB)",
		"CREATE INDEX items_stamp ON items (stamp, id)",
	) {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	_, err = db.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO items SELECT i, ?, zeroblob(400) FROM n`, n, stamp)
	if err != nil {
		t.Fatal(err)
	}
}

// source returns the bytes of a database stamped stamp.
func source(t testing.TB, stamp string) []byte {
	t.Helper()
	if data, ok := sources.Load(stamp); ok {
		return bytes.Clone(data.([]byte))
	}
	path := filepath.Join(t.TempDir(), "new.sqlite3")
	makeDatabase(t, path, stamp, 300)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sources.Store(stamp, bytes.Clone(data))
	return data
}

// sources are the databases that were made, by their stamps.
var sources sync.Map

func (s *service) stamp() string {
	s.t.Helper()
	var stamp string
	if err := s.pool.QueryRow("SELECT group_concat(DISTINCT stamp) FROM items").Scan(&stamp); err != nil {
		s.t.Fatal(err)
	}
	return stamp
}

func (s *service) exec(query string, args ...any) {
	s.t.Helper()
	if _, err := s.pool.Exec(query, args...); err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
}

// openRows begins a query, and leaves its rows open after the first one.
func (s *service) openRows(query string) *sql.Rows {
	s.t.Helper()
	rows, err := s.pool.Query(query)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { rows.Close() })
	if !rows.Next() {
		s.t.Fatalf("%s has no rows: %v", query, rows.Err())
	}
	return rows
}

// openTx begins a transaction that has done a write, and leaves it open.
func (s *service) openTx(write string) *sql.Tx {
	s.t.Helper()
	tx, err := s.pool.Begin()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { tx.Rollback() })
	if _, err := tx.Exec(write); err != nil {
		s.t.Fatalf("%s: %v", write, err)
	}
	return tx
}

func (s *service) push(data []byte, opts swapper.PushOptions) (swapper.Report, error) {
	if opts.Source == "" {
		opts.Source = "test"
	}
	return swapper.Push(context.Background(), s.db, bytes.NewReader(data), opts)
}

func (s *service) mustPush(data []byte, opts swapper.PushOptions) swapper.Report {
	s.t.Helper()
	r, err := s.push(data, opts)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// onlyFiles fails unless the directory holds exactly these, and the sidecars
// of a live database in use.
func (s *service) onlyFiles(want ...string) {
	s.t.Helper()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	ok := map[string]bool{"live.sqlite3": true, "live.sqlite3-wal": true, "live.sqlite3-shm": true, "live.sqlite3-journal": true}
	for _, w := range want {
		ok[w] = true
	}
	for _, e := range entries {
		if !ok[e.Name()] {
			s.t.Errorf("%s is left in the directory", e.Name())
		}
	}
}

func TestPushReplacesTheDatabaseInEveryJournalMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"DELETE", "WAL", "TRUNCATE", "PERSIST", "MEMORY"} {
		t.Run(mode, func(t *testing.T) {
			s := start(t, t.TempDir(), "&_journal="+mode)
			s.exec("INSERT INTO items (stamp) VALUES ('live')")
			r := s.mustPush(source(t, "new"), swapper.PushOptions{Backup: true})
			if got := s.stamp(); got != "new" {
				t.Errorf("after the push the stamp is %q", got)
			}
			if !r.Swapped || r.Generation != 2 || s.db.Generation() != 2 {
				t.Errorf("report %+v, generation %d", r, s.db.Generation())
			}
			var now string
			if err := s.pool.QueryRow("PRAGMA journal_mode").Scan(&now); err != nil || !strings.EqualFold(now, mode) {
				t.Errorf("journal mode is %q, %v", now, err)
			}
			// The replaced file has everything that was acknowledged, by itself.
			old, err := sql.Open("sqlite3", "file:"+r.BackupPath+"?mode=ro&immutable=1")
			if err != nil {
				t.Fatal(err)
			}
			defer old.Close()
			var n int
			if err := old.QueryRow("SELECT count(*) FROM items WHERE stamp = 'live'").Scan(&n); err != nil || n != 201 {
				t.Errorf("the backup has %d rows, %v; want 201", n, err)
			}
			s.onlyFiles("live.sqlite3~")
		})
	}
}

func TestPushLogsEveryStepInOrder(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	var log bytes.Buffer
	var events []swapper.Step
	s.mustPush(source(t, "new"), swapper.PushOptions{
		Logger: zerolog.New(&log),
		Notify: func(e swapper.Event) {
			if e.Step != swapper.StepReceiving {
				events = append(events, e.Step)
			}
		},
	})
	want := []swapper.Step{
		swapper.StepPushStarted, swapper.StepReceived, swapper.StepIntegrity, swapper.StepIntegrityPassed,
		swapper.StepSchema, swapper.StepSchemaPassed, swapper.StepGateClosed, swapper.StepClosed,
		swapper.StepRenamed, swapper.StepGateOpen, swapper.StepReconnected, swapper.StepPushComplete,
	}
	if fmt.Sprint(events) != fmt.Sprint(want) {
		t.Errorf("steps\n%v, want\n%v", events, want)
	}
	for _, text := range []string{"push started", "received ", "running integrity check", "gate closed: calls are queued",
		"closed 1 connection", "renamed stage to target", "gate open: calls resume (pause ", "reconnected 1", "push complete"} {
		i := strings.Index(log.String(), text)
		if i < 0 {
			t.Errorf("the log has no %q behind the line before it:\n%s", text, log.String())
			continue
		}
		log.Next(i)
	}
}

func TestABadSourceIsRefusedAndTheLiveDatabaseStays(t *testing.T) {
	t.Parallel()
	good := source(t, "new")
	corrupt := bytes.Clone(good)
	copy(corrupt[2*4096:], bytes.Repeat([]byte{0xA5}, 4096))
	other := func() []byte {
		path := filepath.Join(t.TempDir(), "other.sqlite3")
		makeDatabase(t, path, "new", 3)
		db, _ := sql.Open("sqlite3", path)
		defer db.Close()
		if _, err := db.Exec("ALTER TABLE items ADD COLUMN extra; CREATE TABLE more (x)"); err != nil {
			t.Fatal(err)
		}
		data, _ := os.ReadFile(path)
		return data
	}()
	cases := map[string]struct {
		data []byte
		opts swapper.PushOptions
		says string
	}{
		"empty":               {nil, swapper.PushOptions{SkipIntegrityCheck: true, SkipSchemaCheck: true}, "empty"},
		"noise":               {bytes.Repeat([]byte("noise"), 1000), swapper.PushOptions{SkipIntegrityCheck: true, SkipSchemaCheck: true}, "not an SQLite database"},
		"a header's part":     {good[:60], swapper.PushOptions{}, "less than a header"},
		"cut at a page":       {good[:len(good)/4096/2*4096], swapper.PushOptions{SkipIntegrityCheck: true, SkipSchemaCheck: true}, "truncated"},
		"cut in a page":       {good[:len(good)-100], swapper.PushOptions{SkipIntegrityCheck: true}, "truncated"},
		"shorter than said":   {good[:len(good)-4096], swapper.PushOptions{Size: int64(len(good))}, "announced"},
		"longer than it says": {append(bytes.Clone(good), make([]byte, 4096)...), swapper.PushOptions{}, "too long"},
		"corrupt page":        {corrupt, swapper.PushOptions{}, "corrupt"},
		"corrupt page, quick": {corrupt, swapper.PushOptions{Quick: true}, "corrupt"},
		"other schema":        {other, swapper.PushOptions{}, "table items differs"},
		"validate":            {good, swapper.PushOptions{Validate: func(context.Context, *sql.DB) error { return errors.New("too few users") }}, "too few users"},
		"prepare":             {good, swapper.PushOptions{Prepare: func(context.Context, *sql.DB) error { return errors.New("no migration") }}, "no migration"},
	}
	s := start(t, t.TempDir(), "&_journal=WAL")
	before := digest(t, s.pool)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := s.push(c.data, c.opts)
			if !errors.Is(err, swapper.ErrBadDatabase) {
				t.Fatalf("got %v, want an ErrBadDatabase", err)
			}
			if !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "the live database is unchanged") || !strings.Contains(err.Error(), s.path) {
				t.Errorf("message %q", err)
			}
			t.Log(err)
			if r.Swapped || digest(t, s.pool) != before || s.db.Generation() != 1 {
				t.Error("the live database changed")
			}
			s.onlyFiles()
		})
	}
}

func digest(t testing.TB, pool *sql.DB) string {
	t.Helper()
	rows, err := pool.Query("SELECT id, stamp, hex(filler) FROM items ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	h := sha256.New()
	for rows.Next() {
		var id, stamp, filler sql.NullString
		if err := rows.Scan(&id, &stamp, &filler); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(h, id, stamp, filler)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestASourceThatFailsIsNoEndOfFile(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "")
	good := source(t, "new")
	for _, cause := range []error{io.ErrUnexpectedEOF, errors.New("connection reset")} {
		src := io.MultiReader(bytes.NewReader(good), failingReader{cause})
		_, err := swapper.Push(context.Background(), s.db, src, swapper.PushOptions{})
		if !errors.Is(err, cause) || s.stamp() != "live" {
			t.Errorf("got %v, stamp %s", err, s.stamp())
		}
	}
	s.onlyFiles()
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }
