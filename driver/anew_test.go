package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// reopened makes another pool on the database, whose calls wait for patience
// milliseconds, and leaves the first one open.
func (r *replaced) reopened(journal string, patience int) *sql.DB {
	r.t.Helper()
	again, err := sql.Open(driver.Name, fmt.Sprintf("file:%s?_journal=%s&_busy_timeout=%d", r.live, journal, patience))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { again.Close() })
	return again
}

func (r *replaced) remove(suffixes ...string) {
	r.t.Helper()
	for _, suffix := range suffixes {
		if err := os.Remove(r.live + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			r.t.Fatal(err)
		}
	}
}

// TestAPoolMadeAfterTheFileWasRemovedBeginsANewDatabase, as it would with go-sqlite3, and
// the pools that had the old file open move to it, all together: nothing of the old one,
// of its WAL or its journal, gets into the new one.
func TestAPoolMadeAfterTheFileWasRemovedBeginsANewDatabase(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE"} {
		for what, removed := range map[string][]string{"the file": {""}, "its WAL, too": {"", "-wal", "-shm"}} {
			t.Run(journal+", "+what, func(t *testing.T) {
				t.Parallel()
				r := startReplaced(t, journal)
				told := make(chan driver.Swap, 5)
				defer r.db.OnSwap(func(s driver.Swap) { told <- s })()
				r.remove(removed...)
				again := r.reopened(journal, 5000)
				mustExec(t, again, "CREATE TABLE u (v); INSERT INTO u VALUES ('anew')")
				var n int
				if err := r.pool.QueryRow("SELECT count(*) FROM u").Scan(&n); err != nil || n != 1 {
					t.Errorf("the first pool reads %d rows, %v", n, err)
				}
				if err := again.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&n); err != nil || n != 1 {
					t.Errorf("%d tables, %v: something of the old file is in it", n, err)
				}
				r.sound()
				if s := <-told; !s.External || s.Generation != 2 || r.db.Generation() != 2 {
					t.Errorf("told %+v; generation %d", s, r.db.Generation())
				}
				if now, _ := driver.Lookup(r.live); now != r.db {
					t.Error("it is another Database")
				}
				testenv.Eventually(t, func() error {
					if log := r.log.String(); !strings.Contains(log, "was removed, and a pool opened since then") {
						return fmt.Errorf("the log says nothing of it: %s", log)
					}
					return nil
				})
				if left, _ := filepath.Glob(r.live + "*of-replaced*"); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
			})
		}
	}
}

// TestAPoolMadeBeforeTheFileWasRemovedBeginsNone: whoever made it meant the old one.
func TestAPoolMadeBeforeTheFileWasRemovedBeginsNone(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	before := r.reopened("WAL", 400)
	r.remove("")
	if err := before.Ping(); !errors.Is(err, driver.ErrReplaced) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(r.live); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
	if got := stamps(t, r.pool); got != "old 70" {
		t.Error(got)
	}
}

// TestWhatAnotherPoolHoldsOfARemovedFileIsNeitherEndedNorLeft: the pool that would begin
// a new one waits for it, and is told what it waits for.
func TestWhatAnotherPoolHoldsOfARemovedFileIsNeitherEndedNorLeft(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	tx, err := r.pool.Begin()
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, r.pool, "SELECT 1") // another connection, which is idle
	if _, err := tx.Exec("INSERT INTO t (stamp) VALUES ('held')"); err != nil {
		t.Fatal(err)
	}
	r.remove("")
	again := r.reopened("WAL", 1500)
	if err := again.Ping(); !errors.Is(err, driver.ErrReplaced) || !strings.Contains(err.Error(), "transaction") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(r.live); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
	var n int
	if err := tx.QueryRow("SELECT count(*) FROM t WHERE stamp IN ('old', 'held')").Scan(&n); err != nil || n != 71 {
		t.Errorf("the transaction reads %d, %v", n, err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	if err := r.pool.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 71 {
		t.Errorf("while nobody asks, the old file serves on: %d, %v", n, err)
	}
	mustExec(t, again, "CREATE TABLE u (v)")
	if err := r.pool.QueryRow("SELECT count(*) FROM u").Scan(&n); err != nil {
		t.Error(err)
	}
}

// TestAFileThatWasMovedAwayIsNotBegunAnew: it may come back, and what was written to a
// new one would be hidden then.
func TestAFileThatWasMovedAwayIsNotBegunAnew(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	if err := os.Rename(r.live, r.live+".away"); err != nil {
		t.Fatal(err)
	}
	again := r.reopened("WAL", 500)
	if err := again.Ping(); !errors.Is(err, driver.ErrReplaced) || !strings.Contains(err.Error(), "moved away") {
		t.Errorf("got %v", err)
	}
	if err := os.Rename(r.live+".away", r.live); err != nil {
		t.Fatal(err)
	}
	for _, pool := range []*sql.DB{r.pool, again} {
		if got := stamps(t, pool); got != "old 70" {
			t.Error(got)
		}
	}
	r.sound()
}

// TestARemovedFileThatIsBackIsNotBegunAnew: another one that is put there while the new
// pool waits is moved to, as any.
func TestARemovedFileThatIsReplacedIsNotBegunAnew(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	r.remove("")
	again := r.reopened("WAL", 5000)
	r.mv()
	for _, pool := range []*sql.DB{again, r.pool} {
		if got := stamps(t, pool); got != "new 50" {
			t.Error(got)
		}
	}
}

// TestAFileRemovedWhileNothingIsOpenIsBegunAnewByAPoolMadeSince, and by no other. What
// a process has left beside it, or still has, keeps it from that: SQLite would use it.
func TestAFileRemovedWhileNothingIsOpenIsBegunAnewByAPoolMadeSince(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	r.pool.SetMaxIdleConns(-1)
	testenv.Until(t, "all are closed", func() bool { return r.db.Stats().Connections == 0 })
	r.remove("")
	if err := os.WriteFile(r.live+"-wal", []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	again := r.reopened("WAL", 500)
	if err := again.Ping(); !errors.Is(err, driver.ErrReplaced) || !strings.Contains(err.Error(), "live.db-wal") {
		t.Errorf("beside a WAL: %v", err)
	}
	r.remove("-wal")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.pool.PingContext(ctx); err == nil {
		t.Error("the first pool has begun one")
	}
	mustExec(t, again, "CREATE TABLE u (v)")
	mustExec(t, r.pool, "INSERT INTO u VALUES (1)")
	if g := r.db.Generation(); g != 2 {
		t.Errorf("generation %d", g)
	}
}

// TestAFileRemovedUnderAStrangerIsNotBegunAnew: go-sqlite3 itself, in the same program,
// goes on with the old one, whose WAL and locks the new one would share.
func TestAFileRemovedUnderAStrangerIsNotBegunAnew(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	plain, err := sql.Open("sqlite3", r.live)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if got := stamps(t, plain); got != "old 70" {
		t.Fatal(got)
	}
	r.remove("")
	again := r.reopened("WAL", 600)
	if err := again.Ping(); !errors.Is(err, driver.ErrReplaced) || !strings.Contains(err.Error(), "outside this driver") {
		t.Errorf("got %v", err)
	}
	plain.Close()
	mustExec(t, again, "CREATE TABLE u (v)")
}
