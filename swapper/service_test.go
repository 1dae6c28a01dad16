package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
