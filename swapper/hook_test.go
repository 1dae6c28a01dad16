package swapper_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/swapper"
)

var drivers atomic.Int64

// startWith is start with a driver of its own.
func startWith(t testing.TB, params string, opts ...driver.Option) *service {
	t.Helper()
	name := fmt.Sprintf("hooked-%d", drivers.Add(1))
	sql.Register(name, driver.New(opts...))
	dir := t.TempDir()
	s := &service{t: t, dir: dir, path: filepath.Join(dir, "live.sqlite3")}
	makeDatabase(t, s.path, "live", 200)
	var err error
	if s.pool, err = sql.Open(name, "file:"+s.path+"?"+params); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.pool.Close() })
	if err := s.pool.Ping(); err != nil {
		t.Fatal(err)
	}
	s.db, _ = driver.Lookup(s.path)
	return s
}

// side makes another database.
func side(t testing.TB, texts ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "side.sqlite3")
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range append(texts, "CREATE TABLE s (x)", "INSERT INTO s VALUES (7)") {
		if _, err := db.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// attaching is a hook that attaches the file as "side".
func attaching(path string) driver.Option {
	return driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		_, err := c.Exec("ATTACH '"+strings.ReplaceAll(path, "'", "''")+"' AS side", nil)
		return err
	})
}

// TestPrepareLeavesWhatAHookAttachesAsItIs: only the stage has to leave WAL mode.
func TestPrepareLeavesWhatAHookAttachesAsItIs(t *testing.T) {
	t.Parallel()
	for _, read := range []bool{false, true} {
		path := side(t, "PRAGMA journal_mode=WAL")
		s := startWith(t, "", attaching(path))
		s.pool.SetMaxIdleConns(0) // nobody else has it open
		other, err := sql.Open("sqlite3", path)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if read {
			rows, err := other.Query("SELECT x FROM s")
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			rows.Next()
		}
		s.mustPush(source(t, "new"), swapper.PushOptions{Prepare: func(ctx context.Context, db *sql.DB) error {
			_, err := db.ExecContext(ctx, "PRAGMA main.journal_mode=WAL; UPDATE items SET stamp = 'prepared'; UPDATE side.s SET x = x")
			return err
		}})
		var mode string
		if err := other.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil || mode != "wal" {
			t.Errorf("the attached database is in mode %s, %v", mode, err)
		}
		if got := s.stamp(); got != "prepared" {
			t.Error(got)
		}
	}
}
