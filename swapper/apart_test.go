package swapper_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/swapper"
)

// beside opens another pool of the program on a database.
func beside(t *testing.T, name, dsn string) *sql.DB {
	t.Helper()
	pool, err := sql.Open(name, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return pool
}

func stampOf(t *testing.T, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, schema string) (stamp string) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT group_concat(DISTINCT stamp) FROM "+schema+".items").Scan(&stamp); err != nil {
		t.Error(err)
	}
	return stamp
}

// TestReadersWithoutLocksAreNotWrittenUnder: what they have read they take for
// unchanged, so that a page of the new content among those of the old is a
// malformed database to them.
func TestReadersWithoutLocksAreNotWrittenUnder(t *testing.T) {
	t.Parallel()
	attach := func(t *testing.T, s *service) *sql.Conn {
		makeDatabase(t, filepath.Join(s.dir, "other.sqlite3"), "other", 1)
		conn, err := beside(t, driver.Name, filepath.Join(s.dir, "other.sqlite3")).Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := conn.ExecContext(t.Context(), "ATTACH ? AS live", "file:"+s.path+"?immutable=1"); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	for name, reads := range map[string]func(t *testing.T, s *service) (stamp func() string){
		"a pool with immutable=1": func(t *testing.T, s *service) func() string {
			pool := beside(t, driver.Name, "file:"+s.path+"?immutable=1")
			return func() string { return stampOf(t, pool, "main") }
		},
		"an attacher with immutable=1": func(t *testing.T, s *service) func() string {
			conn := attach(t, s)
			return func() string { return stampOf(t, conn, "live") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, t.TempDir(), "&_journal=WAL")
			stamp := reads(t, s)
			if got := stamp(); got != "live" {
				t.Fatal(got)
			}
			s.refuses(inPlace, swapper.ErrBusy, "immutable=1", "by rename")
			dry := inPlace
			dry.DryRun = true
			s.refuses(dry, swapper.ErrBusy, "immutable=1")
			if got := stamp(); got != "live" || s.stamp() != "live" {
				t.Error(got)
			}
			r := s.mustPush(source(t, "new"), swapper.PushOptions{})
			if got := stamp(); got != "new" || r.Method != swapper.MethodRename {
				t.Errorf("%s, %+v", got, r)
			}
		})
	}
	t.Run("a pool with nolock=1 and a rollback journal", func(t *testing.T) {
		s := start(t, t.TempDir(), "&_journal=DELETE")
		for _, param := range []string{"nolock=1", "immutable=1"} {
			pool := beside(t, driver.Name, "file:"+s.path+"?"+param)
			if got := stampOf(t, pool, "main"); got != "live" {
				t.Fatal(got)
			}
			s.mustPush(source(t, "new"), inPlace)
			if got := stampOf(t, pool, "main"); got != "new" {
				t.Error(got)
			}
			s.mustPush(source(t, "live"), inPlace)
			pool.Close()
		}
	})
	t.Run("another driver's and a rollback journal", func(t *testing.T) {
		s := start(t, t.TempDir(), "&_journal=DELETE")
		pool := beside(t, "sqlite3", "file:"+s.path+"?immutable=1")
		stampOf(t, pool, "main")
		s.refuses(inPlace, swapper.ErrBusy, "immutable=1")
	})
	t.Run("an attacher of a database with a rollback journal", func(t *testing.T) {
		s := start(t, t.TempDir(), "&_journal=DELETE")
		conn := attach(t, s)
		stampOf(t, conn, "live")
		s.mustPush(source(t, "new"), inPlace)
		if got := stampOf(t, conn, "live"); got != "new" {
			t.Error(got)
		}
	})
}

// TestASharedCacheIsDrainedToo: its connections share one snapshot, for as long as
// any of them reads.
func TestASharedCacheIsDrainedToo(t *testing.T) {
	t.Parallel()
	for _, attached := range []bool{false, true} {
		s := start(t, t.TempDir(), "&_journal=WAL")
		schema, path := "main", s.path
		if attached {
			schema, path = "live", filepath.Join(s.dir, "other.sqlite3")
			makeDatabase(t, path, "other", 1)
		}
		pool := beside(t, driver.Name, "file:"+path+"?cache=shared")
		var conns [2]*sql.Conn
		for i := range conns {
			conn, err := pool.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if attached {
				if _, err := conn.ExecContext(t.Context(), "ATTACH ? AS live", s.path); err != nil {
					t.Fatal(err)
				}
			}
			conns[i] = conn
		}
		rows, err := conns[0].QueryContext(t.Context(), "SELECT stamp FROM "+schema+".items")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		if !rows.Next() {
			t.Fatal(rows.Err())
		}
		long := s.openRows("SELECT stamp FROM items") // of one that is not shared: it is not waited for
		opts := inPlace
		opts.Timeout = 100 * time.Millisecond
		r, err := s.push(source(t, "new"), opts)
		if !errors.Is(err, swapper.ErrBusy) || r.Swapped || err != nil && !strings.Contains(err.Error(), "SELECT stamp FROM "+schema+".items") {
			t.Errorf("%+v, %v", r, err)
		}
		if got := stampOf(t, conns[1], schema); got != "live" {
			t.Error(got)
		}
		rows.Close()
		s.mustPush(source(t, "new"), inPlace)
		for _, conn := range conns {
			if got := stampOf(t, conn, schema); got != "new" {
				t.Errorf("attached %t: a read begun after the push sees %s", attached, got)
			}
		}
		var old string
		for long.Next() {
			if err := long.Scan(&old); err != nil || old != "live" {
				t.Fatal(old, err)
			}
		}
	}
}

// TestConnectionsWithASharedCacheThatComeMeanwhileWait until the content is written.
func TestConnectionsWithASharedCacheThatComeMeanwhileWait(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	pool := beside(t, driver.Name, "file:"+s.path+"?cache=shared")
	f, err := s.db.Freeze(t.Context(), inside.Extend(driver.FreezeOptions{}, inside.FreezeOptions{WritesOnly: true, CloseShared: true}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := pool.PingContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if s.stamp() != "live" {
		t.Error("an ordinary read does not go on")
	}
	f.Thaw()
	if err := pool.Ping(); err != nil {
		t.Error(err)
	}
}
