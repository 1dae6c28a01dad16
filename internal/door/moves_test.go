package door_test

import (
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/door"
	"hotswap/internal/fileid"
	"hotswap/internal/testenv"
)

// TestNoOpenMakesAFileWhereOneWasMovedAway a moment before: it would be served, empty,
// or be in the way of whoever is about to put a new one there.
func TestNoOpenMakesAFileWhereOneWasMovedAway(t *testing.T) {
	dir := t.TempDir()
	path, aside := filepath.Join(dir, "a.db"), filepath.Join(dir, "aside.db")
	defer door.Guard(path)()
	first := open(t, path)
	mustExec(t, first, "CREATE TABLE t (x)")
	moved := make(chan struct{})
	var openers sync.WaitGroup
	for range 4 {
		openers.Go(func() {
			for {
				select {
				case <-moved:
					return
				default:
					db, err := sql.Open("sqlite3", path)
					if err != nil {
						t.Error(err)
						return
					}
					db.Ping() // as it may
					db.Close()
				}
			}
		})
	}
	for range 300 {
		if err := os.Rename(path, aside); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Microsecond) // for those that looked before
		if info, err := os.Lstat(path); err == nil {
			t.Errorf("a file of %d bytes was made", info.Size())
			break
		}
		if err := os.Rename(aside, path); err != nil {
			t.Fatal(err)
		}
	}
	close(moved)
	openers.Wait()
}

// TestMovesBesideOpensNeverLeaveTwoFilesOpen: a path whose file is replaced all the
// time, also by files that come back.
func TestMovesBesideOpensNeverLeaveTwoFilesOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.db")
	defer door.Guard(path)()
	first := open(t, path)
	mustExec(t, first, "PRAGMA journal_mode=WAL; CREATE TABLE t (x)")
	first.Close()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for _, params := range []string{"", "?nolock=1&immutable=1", ""} {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				conn, err := (&sqlite3.SQLiteDriver{}).Open("file:" + path + params)
				files := map[fileid.ID]bool{}
				for _, h := range door.Open(path) {
					files[h.File] = true
				}
				if len(files) > 1 {
					t.Errorf("%d files are open at once", len(files))
				}
				if err == nil {
					conn.Close()
				} else if !strings.Contains(err.Error(), "unable to open") && !strings.Contains(err.Error(), "locked") {
					t.Error(err)
				}
			}
		})
	}
	for i := range 300 {
		next := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(next, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	testenv.Until(t, "all is closed", func() bool { return len(door.Open(path)) == 0 })
}

// TestOneThatIsBeingOpenedStaysAsTheLastOneLeaves: the one that leaves counts as the
// last, since the other may yet fail; but what is beside the file is the other's, too.
func TestOneThatIsBeingOpenedStaysAsTheLastOneLeaves(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	connect := func() io.Closer {
		conn, err := (&sqlite3.SQLiteDriver{}).Open(path)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	var first, second io.Closer
	door.As("first", func() { first = connect() })
	door.As("second", func() {
		second = connect()
		last, left := door.Leaving("first")
		first.Close()
		if len(last) != 1 || !door.Stays(path) {
			t.Errorf("last of %v; the second stays: %v", last, door.Stays(path))
		}
		left()
	})
	last, left := door.Leaving("second")
	if len(last) != 1 || door.Stays(path) {
		t.Errorf("last of %v; somebody stays: %v", last, door.Stays(path))
	}
	second.Close()
	left()
}
