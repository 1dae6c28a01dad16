package swapper

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

func TestPageThatCouldNotBeReadIsNotCorruption(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"Tree 2 page 2 cell 0: unable to get the page. error code=266": true, // SQLITE_IOERR_READ
		"Tree 2 page 2: unable to get the page. error code=10":         true,
		"Tree 2 page 2: unable to get the page. error code=11":         false, // SQLITE_CORRUPT
		"Tree 2 page 2: btreeInitPage() returns error code 11":         false,
		"wrong # of entries in index error code=":                      false,
		"ok": false,
	} {
		if got := tellsOfIO(line); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

// The lock itself would have to be waited for, which takes its time.
func TestASnapshotThatFindsTheDatabaseLockedIsBusyNotBroken(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	locked := sqlite3.Error{Code: sqlite3.ErrBusy}
	if err := snapshotFailed(ctx, "open", locked); !errors.Is(err, ErrBusy) || !strings.Contains(hintOf(err), "try again") {
		t.Errorf("locked: %v (%s)", err, hintOf(err))
	}
	if err := snapshotFailed(ctx, "open", sqlite3.Error{Code: sqlite3.ErrCorrupt}); !errors.Is(err, ErrBadDatabase) || errors.Is(err, ErrBusy) {
		t.Errorf("corrupt: %v", err)
	}
	cancel()
	if err := snapshotFailed(ctx, "open", locked); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestStageThatTheProgramCouldNotOpenIsRefused(t *testing.T) {
	t.Parallel()
	_, db := openManaged(t, "?_journal=WAL", "CREATE TABLE t (v); PRAGMA wal_checkpoint(TRUNCATE)")
	path := db.Path()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := createStage(path, kindStage, private)
	if err != nil {
		t.Fatal(err)
	}
	defer s.discard()
	if _, err := s.file.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := s.tryOpen(context.Background(), db); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(s.path); err != nil || !bytes.Equal(after, content) || s.assertAlone() != nil {
		t.Errorf("the rehearsal changed the stage, or left a file beside it: %v, %v", err, s.assertAlone())
	}
	if err := os.Mkdir(s.path+"-wal", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.tryOpen(context.Background(), db); err == nil || !strings.Contains(err.Error(), "open the new database as the program will") {
		t.Errorf("got %v", err)
	}
}

// TestACheckLeavesTheStageAsItWas: to the byte, whatever its journal mode, and
// although its views are deleted for the time of it.
func TestACheckLeavesTheStageAsItWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "live.sqlite3")
	var hook func(*sqlite3.SQLiteConn) error
	sql.Register("hotswap-check-leaves", driver.New(driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		if hook == nil {
			return nil
		}
		return hook(c)
	})))
	pool, err := sql.Open("hotswap-check-leaves", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	for _, q := range []string{"CREATE TABLE t (v CHECK (v > 0))", "CREATE VIRTUAL TABLE words USING fts4(text)", "INSERT INTO words VALUES ('one two')",
		"INSERT INTO t VALUES (1)", "CREATE VIEW v AS SELECT * FROM t", "CREATE TRIGGER tr INSTEAD OF DELETE ON v BEGIN SELECT 1; END"} {
		if _, err := pool.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	var views strings.Builder // of several pages
	for i := range 200 {
		fmt.Fprintf(&views, "CREATE VIEW v%d AS SELECT 'a text of some length, since there shall be several pages' FROM t;", i)
	}
	if _, err := pool.Exec("BEGIN; " + views.String() + "COMMIT"); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	db, _ := driver.Lookup(path)
	sets := func(text string) func(*sqlite3.SQLiteConn) error {
		return func(c *sqlite3.SQLiteConn) error { _, err := c.Exec(text, nil); return err }
	}
	for name, f := range map[string]func(*sqlite3.SQLiteConn) error{
		"no hook": nil, "WAL": sets("PRAGMA journal_mode=WAL"), "TRUNCATE": sets("PRAGMA journal_mode=TRUNCATE"),
		"a write": sets("PRAGMA user_version=7"), "a table": sets("CREATE TABLE u (v)"), "attach": sets("ATTACH ':memory:' AS other"),
	} {
		for _, version := range []byte{1, 2} {
			for _, quick := range []bool{false, true} {
				hook = f
				s, err := createStage(path, kindStage, private)
				if err != nil {
					t.Fatal(err)
				}
				content[18], content[19] = version, version // the journal mode
				if _, err := s.file.Write(content); err != nil {
					t.Fatal(err)
				}
				s.size = int64(len(content))
				if err := s.checkIntegrity(t.Context(), db, integrity{subject: "the source", quick: quick}); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if after, err := os.ReadFile(s.path); err != nil || !bytes.Equal(after, content) || s.assertAlone() != nil {
					t.Errorf("%s, version %d: the check changed the stage, or left a file beside it: %v, %v", name, version, err, s.assertAlone())
				}
				s.discard()
				hook = nil
			}
		}
	}
}

func TestWhatWasSetAsideIsPutBackIfNothingWasReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "live.sqlite3")
	if err := os.WriteFile(path+"-wal", []byte("a WAL"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := &replacement{guard: &guard{leased: true}, target: &target{path: path}, push: &push{unread: errors.New("malformed"), opts: PushOptions{Backup: true}}}
	if err := r.setAside(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path + "-wal"); err == nil {
		t.Error("it is still there")
	}
	if err := r.putBack(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path + "-wal"); err != nil || string(got) != "a WAL" {
		t.Errorf("%q, %v", got, err)
	}
	// Without a lease somebody may have it open.
	r.guard.leased = false
	if err := r.setAside(); err != nil || len(r.asides) > 0 {
		t.Error(err, r.asides)
	}
	// What an earlier push left is not written over.
	r.guard.leased = true
	if err := os.WriteFile(r.aside("-wal"), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.setAside(); !errors.Is(err, ErrTarget) {
		t.Error(err)
	}
}

func TestOnlyWhatShouldBeInMemoryIsMapped(t *testing.T) {
	t.Parallel()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(t.TempDir(), "stage"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	const mb = 1 << 20
	for _, test := range []struct{ size, available, mapped, cache int64 }{
		{1 * mb, 8192 * mb, 1 * mb, 0},
		{1024 * mb, 4096 * mb, 1024 * mb, 0},
		{1025 * mb, 4096 * mb, 0, 64 * mb},
		{400 * mb, 256 * mb, 0, 32 * mb}, // a container's
		{400 * mb, 64 * mb, 0, 8 * mb},
		{400 * mb, 4 * mb, 0, 2 * mb},
		{1 * mb, 0, 0, 64 * mb}, // nobody says how much there is
	} {
		if _, err := db.Exec("PRAGMA mmap_size=0; PRAGMA cache_size=0"); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(readQuickly(test.size, test.available)); err != nil {
			t.Fatal(err)
		}
		var mapped, kib int64
		if err := db.QueryRow("PRAGMA mmap_size").Scan(&mapped); err != nil {
			t.Fatal(err)
		}
		if err := db.QueryRow("PRAGMA cache_size").Scan(&kib); err != nil {
			t.Fatal(err)
		}
		if mapped != test.mapped || -kib<<10 != test.cache {
			t.Errorf("of %d bytes, with memory for %d: %d are mapped and %d cached, want %d and %d",
				test.size, test.available, mapped, -kib<<10, test.mapped, test.cache)
		}
	}
}

// TestReserveDoesNotOverflow: a client says how much it will send.
func TestReserveDoesNotOverflow(t *testing.T) {
	t.Parallel()
	for _, after := range []int64{0, 1} {
		s, err := createStage(filepath.Join(t.TempDir(), "live.sqlite3"), kindStage, private)
		if err != nil {
			t.Fatal(err)
		}
		defer s.discard()
		s.after = after
		for _, n := range []int64{math.MaxInt64, math.MaxInt64/2 + 1, math.MaxInt64 / 2} {
			if err := s.reserve(0, n); !errors.Is(err, ErrNoSpace) {
				t.Errorf("after %d, %d bytes: %v", after, n, err)
			}
		}
	}
}
