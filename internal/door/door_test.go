package door_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
)

func TestMain(m *testing.M) {
	if os.Getenv("DOOR_TEST_LATE") == "" {
		door.Install()
	}
	m.Run()
}

func open(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func mustExec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// TestEveryOpenOfAMainDatabaseIsSeen: by the plain driver, in every way to open or
// attach a file, with each of SQLite's VFSes for it; and every close.
func TestEveryOpenOfAMainDatabaseIsSeen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.db")
	mustExec(t, open(t, path), "CREATE TABLE t (x)")
	other := open(t, filepath.Join(dir, "other.db"))
	other.SetMaxOpenConns(1)
	mustExec(t, other, "CREATE TABLE t (x)")
	t.Chdir(dir)
	if err := os.Symlink(path, "link.db"); err != nil {
		t.Fatal(err)
	}
	before := len(door.Open(path))
	for name, open := range map[string]func() func(){
		"attached by text":      func() func() { mustExec(t, other, "ATTACH 'a.db' AS a"); return nil },
		"attached by parameter": func() func() { mustExec(t, other, "ATTACH ? AS a", path); return nil },
		"attached by a URI":     func() func() { mustExec(t, other, "ATTACH 'file:link.db?mode=ro' AS a"); return nil },
	} {
		open()
		if n := len(door.Open(path)); n != before+1 {
			t.Errorf("%s: %d opens, %d before", name, n, before)
		}
		mustExec(t, other, "DETACH a")
		if n := len(door.Open(path)); n != before {
			t.Errorf("%s, and detached: %d opens, %d before", name, n, before)
		}
	}
	for _, params := range []string{"", "?mode=ro", "?immutable=1", "?nolock=1", "?cache=shared", "?vfs=unix-excl", "?vfs=unix-none", "?vfs=unix-dotfile"} {
		db := open(t, "file:a.db"+params)
		if err := db.Ping(); err != nil {
			t.Fatal(params, err)
		}
		handles := door.Open(path)
		if len(handles) != before+1 || handles[0].File != fileid.Of(path) {
			t.Errorf("opened with %q: %d opens, %d before", params, len(handles), before)
		}
		db.Close()
		if n := len(door.Open(path)); n != before {
			t.Errorf("opened with %q, and closed: %d opens, %d before", params, n, before)
		}
	}
}

// TestASecondFileOfAGuardedPathIsRefused: even if the first one no longer has a name,
// and then no empty file is created in its place.
func TestASecondFileOfAGuardedPathIsRefused(t *testing.T) {
	dir := t.TempDir()
	path, next := filepath.Join(dir, "a.db"), filepath.Join(dir, "next.db")
	for _, p := range []string{path, next} {
		db := open(t, p)
		mustExec(t, db, "PRAGMA journal_mode=WAL; CREATE TABLE t (x)")
		db.Close()
	}
	defer door.Guard(path)()
	first := open(t, path)
	mustExec(t, first, "INSERT INTO t VALUES (1)")
	refused := func(when string) {
		t.Helper()
		err := open(t, path).Ping()
		var se sqlite3.Error
		if !errors.As(err, &se) || se.Code != sqlite3.ErrCantOpen {
			t.Errorf("%s: %v", when, err)
		}
		attacher := open(t, ":memory:")
		if _, err := attacher.Exec("ATTACH ? AS a", path); err == nil {
			t.Errorf("%s: attached", when)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refused("with nothing at the path")
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty file was made: %v", err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	refused("with another file at the path")
	first.Close()
	if err := open(t, path).Ping(); err != nil {
		t.Errorf("with the first one closed: %v", err)
	}
}

// TestAPathThatIsShutKeepsOpenersWaiting and tells who is just at it.
func TestAPathThatIsShutKeepsOpenersWaiting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	mustExec(t, open(t, path), "CREATE TABLE t (x)")
	n := len(door.Open(path))
	reopen, err := door.Shut(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 3)
	for range 3 {
		go func() { ended <- open(t, path).Ping() }()
	}
	if second, err := door.Shut(expired(), path); err == nil {
		second()
		t.Error("shut twice at once")
	}
	select {
	case err := <-ended:
		t.Errorf("one came through: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	if got := len(door.Open(path)); got != n {
		t.Errorf("%d opens, %d before", got, n)
	}
	var se sqlite3.Error
	if err := open(t, "file:"+path+"?cache=shared").Ping(); !errors.As(err, &se) || se.Code != sqlite3.ErrBusy {
		t.Errorf("with a shared cache, under whose mutexes nobody may wait: %v", err)
	}
	reopen()
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func expired() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// TestAnOpenIsKnownByItsHand, also inside another opener's.
func TestAnOpenIsKnownByItsHand(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.db"), filepath.Join(dir, "b.db")
	var inA, inB *sql.DB
	door.As("outer", func() {
		inA = open(t, a)
		conn, err := inA.Driver().Open(a) // on this goroutine, unlike the pool's
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		door.As("inner", func() {
			inner, err := inA.Driver().Open(b)
			if err != nil {
				t.Fatal(err)
			}
			defer inner.Close()
			if of := door.Of("inner"); len(of) != 1 || of[0].Path != b {
				t.Errorf("the inner one has %v", of)
			}
		})
		if of := door.Of("outer"); len(of) != 1 || of[0].Path != a {
			t.Errorf("the outer one has %v", of)
		}
		last, left := door.Leaving("outer")
		if len(last) != 1 {
			t.Errorf("the only one is not the last: %v", last)
		}
		opened := make(chan error, 1)
		go func() {
			db, err := sql.Open("sqlite3", a)
			if err == nil {
				err = db.Ping()
				db.Close()
			}
			opened <- err
		}()
		runtime.Gosched()
		select {
		case err := <-opened:
			t.Errorf("a path was opened (%v) while its last one leaves", err)
		default:
		}
		left()
		if err := <-opened; err != nil {
			t.Error(err)
		}
	})
	inB = open(t, b)
	mustExec(t, inB, "CREATE TABLE t (x)")
	for _, h := range door.Open(b) {
		if h.Opener != nil {
			t.Errorf("a stranger's open is %v's", h.Opener)
		}
	}
	if of := door.Of("outer"); len(of) != 0 {
		t.Errorf("closed, the outer one has %v", of)
	}
}
