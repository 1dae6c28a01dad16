package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/driver"
	"hotswap/swapper"
)

func TestADatabaseThatIsNotThereYetIsMadeByAPush(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "live.sqlite3")
	pool, err := sql.Open(driver.Name, path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	db, _ := driver.Lookup(path)
	s := &service{t: t, dir: dir, path: path, pool: pool, db: db}
	var out bytes.Buffer
	if _, err := swapper.Pull(context.Background(), db, &out, swapper.PullOptions{}); !errors.Is(err, swapper.ErrNotExist) {
		t.Errorf("a pull of nothing: %v", err)
	}
	if err := os.WriteFile(path+"-wal", []byte("left over"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.push(source(t, "new"), swapper.PushOptions{}); !errors.Is(err, swapper.ErrTarget) {
		t.Errorf("a stale WAL beside no database: %v", err)
	}
	os.Remove(path + "-wal")
	s.mustPush(source(t, "first"), swapper.PushOptions{})
	if s.stamp() != "first" {
		t.Error(s.stamp())
	}
	s.onlyFiles()
}

func TestADatabaseWithoutTablesTakesAnySchema(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "live.sqlite3")
	pool, err := sql.Open(driver.Name, "file:"+path+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := pool.Ping(); err != nil {
		t.Fatal(err)
	}
	db, _ := driver.Lookup(path)
	s := &service{t: t, dir: dir, path: path, pool: pool, db: db}
	s.mustPush(source(t, "first"), swapper.PushOptions{})
	if s.stamp() != "first" {
		t.Error(s.stamp())
	}
}

func TestALiveFileThatIsNoDatabaseIsReplacedOnlyIfSaid(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "")
	s.pool.Close()
	if err := os.WriteFile(s.path, bytes.Repeat([]byte("broken"), 2000), 0o644); err != nil {
		t.Fatal(err)
	}
	s.pool, _ = sql.Open(driver.Name, s.path)
	defer s.pool.Close()
	s.db, _ = driver.Lookup(s.path)
	if _, err := s.push(source(t, "new"), swapper.PushOptions{}); err == nil || !strings.Contains(err.Error(), "--skip-schema-check") {
		t.Errorf("got %v", err)
	}
	s.mustPush(source(t, "new"), swapper.PushOptions{SkipSchemaCheck: true})
	if s.stamp() != "new" {
		t.Error(s.stamp())
	}
}
