package driver_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// TestAFileReplacedBehindOurBackIsAdoptedByAllConnectionsTogether: nothing of the old
// WAL gets into the new file, and whoever kept the old file has all of it.
func TestAFileReplacedBehindOurBackIsAdoptedByAllConnectionsTogether(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE"} {
		t.Run(journal, func(t *testing.T) {
			r := startReplaced(t, journal)
			old := r.live + ".old"
			if err := os.Link(r.live, old); err != nil { // mv live old; mv new live, without a moment in between
				t.Fatal(err)
			}
			pinned, err := r.pool.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer pinned.Close()
			if got := stamps(t, r.pool); got != "old 70" {
				t.Fatal(got)
			}
			var swaps []driver.Swap
			var mu sync.Mutex
			defer r.db.OnSwap(func(s driver.Swap) {
				mu.Lock()
				defer mu.Unlock()
				swaps = append(swaps, s)
			})()
			r.mv()
			r.adopted()
			row := pinned.QueryRowContext(t.Context(), "SELECT group_concat(DISTINCT stamp) || ' ' || count(*) FROM t")
			var viaPinned string
			if err := row.Scan(&viaPinned); err != nil || viaPinned != "new 50" {
				t.Errorf("the pinned connection reads %q, %v", viaPinned, err)
			}
			if got := stamps(t, r.pool); got != "new 50" {
				t.Errorf("the pool reads %q", got)
			}
			r.write()
			r.sound()
			kept, err := sql.Open("sqlite3", old)
			if err != nil {
				t.Fatal(err)
			}
			defer kept.Close()
			if got := stamps(t, kept); got != "old 70" {
				t.Errorf("the old file has %q: its last writes were left in a WAL", got)
			}
			testenv.Eventually(t, func() error {
				mu.Lock()
				defer mu.Unlock()
				if len(swaps) != 1 || !swaps[0].External || swaps[0].Generation != 2 {
					return fmt.Errorf("OnSwap was told %+v", swaps)
				}
				return nil
			})
			testenv.Eventually(t, func() error {
				if !strings.Contains(r.log.String(), "replaced by something other than a swap") {
					return fmt.Errorf("the log says nothing of it: %s", r.log)
				}
				return nil
			})
			names, _ := filepath.Glob(filepath.Join(filepath.Dir(r.live), "*replaced*"))
			if len(names) > 0 {
				t.Errorf("left behind: %v", names)
			}
		})
	}
}

// TestWritesGoOnWhileTheFileIsReplacedBehindOurBack: none fails, and each is in
// the one file or the other. With a rollback journal SQLite itself refuses writes
// to a file that is not at its path any more.
func TestWritesGoOnWhileTheFileIsReplacedBehindOurBack(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE"} {
		t.Run(journal, func(t *testing.T) {
			r := startReplaced(t, journal)
			r.pool.SetMaxOpenConns(4)
			old := r.live + ".old"
			if err := os.Link(r.live, old); err != nil {
				t.Fatal(err)
			}
			var written atomic.Int64
			stop := testenv.Loop(t, 4, func() error {
				_, err := r.pool.Exec("INSERT INTO t (stamp) SELECT stamp FROM t LIMIT 1")
				if err == nil {
					written.Add(1)
				}
				return err
			})
			r.mv()
			r.adopted()
			at := written.Load()
			testenv.Eventually(t, func() error {
				if written.Load() < at+20 {
					return errors.New("no writes after it")
				}
				return nil
			})
			stop()
			r.sound()
			kept, err := sql.Open("sqlite3", old)
			if err != nil {
				t.Fatal(err)
			}
			defer kept.Close()
			var inOld, inNew int64
			if err := kept.QueryRow("SELECT count(*) FROM t WHERE stamp = 'old'").Scan(&inOld); err != nil {
				t.Fatal(err)
			}
			if err := r.pool.QueryRow("SELECT count(*) FROM t WHERE stamp = 'new'").Scan(&inNew); err != nil {
				t.Fatal(err)
			}
			if got := inOld - 70 + inNew - 50; got != written.Load() {
				t.Errorf("%d of %d acknowledged writes are there", got, written.Load())
			}
			if got := stamps(t, r.pool); !strings.HasPrefix(got, "new ") {
				t.Error(got)
			}
		})
	}
}

// TestTheLastCloseLeavesNoWALBesideAReplacedFile: the pool closes its idle
// connections, and opens the new file later.
func TestTheLastCloseLeavesNoWALBesideAReplacedFile(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	r.mv()
	r.pool.SetMaxIdleConns(-1) // closes what is idle
	if _, err := os.Stat(r.live + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old WAL is still there: %v", err)
	}
	if got := stamps(t, r.pool); got != "new 50" {
		t.Error(got)
	}
	r.adopted()
}

func TestAFirstUseAfterIdlingSeesTheReplacedFileAtOnce(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	ticks := driver.Ticks(r.db)
	testenv.Eventually(t, func() error {
		if driver.Ticks(r.db) == ticks {
			return errors.New("nobody looks")
		}
		return nil
	})
	driver.StopTicking(r.db)
	r.mv()
	if got := stamps(t, r.pool); got != "new 50" {
		t.Errorf("the first use after it reads %q\n%s", got, r.log)
	}
}

func TestALeakedReaderDoesNotKeepTheOthersOnAReplacedFile(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	rows, err := r.pool.Query("SELECT id FROM t")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	rows.Next()
	r.mv()
	r.adopted()
	if got := stamps(t, r.pool); got != "new 50" {
		t.Error(got)
	}
	for rows.Next() {
	}
	if err := rows.Err(); !errors.Is(err, driver.ErrForced) || !strings.Contains(err.Error(), "because the database file was replaced") {
		t.Errorf("the reader ended with %v", err)
	}
}

func TestAReplacedFileIsRefusedIfToldSoUntilTheOldOneIsBack(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL", driver.WithExternalReplace(driver.RefuseReplaced))
	old := r.live + ".old"
	if err := os.Link(r.live, old); err != nil {
		t.Fatal(err)
	}
	tx, err := r.pool.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	r.mv()
	testenv.Eventually(t, func() error {
		var n int
		if err := r.pool.QueryRow("SELECT count(*) FROM t").Scan(&n); !errors.Is(err, driver.ErrReplaced) {
			return fmt.Errorf("a call: %d, %v", n, err)
		}
		return nil
	})
	if _, err := r.db.Freeze(t.Context(), driver.FreezeOptions{}); !errors.Is(err, driver.ErrReplaced) {
		t.Errorf("a freeze: %v", err)
	}
	// Work in progress ends, in the old file.
	if _, err := tx.Exec("INSERT INTO t (stamp) VALUES ('old')"); err != nil {
		t.Error(err)
	}
	if err := tx.Commit(); err != nil {
		t.Error(err)
	}
	if err := os.Rename(old, r.live); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, func() error {
		var n int
		if err := r.pool.QueryRow("SELECT count(*) FROM t WHERE stamp = 'old'").Scan(&n); err != nil || n != 71 {
			return fmt.Errorf("with the old file back: %d, %v", n, err)
		}
		return nil
	})
	if g := r.db.Generation(); g != 1 {
		t.Errorf("generation %d", g)
	}
	r.write()
	r.sound()
}

func TestAFileThatIsGoneFailsNewConnectionsRatherThanBeginAnEmptyOne(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	conn, err := r.pool.Conn(t.Context()) // has the old file open
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	impatient, err := sql.Open(driver.Name, "file:"+r.live+"?_busy_timeout=50") // made after it, it would: see anew_test.go
	if err != nil {
		t.Fatal(err)
	}
	defer impatient.Close()
	if err := os.Remove(r.live); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := impatient.QueryRow("SELECT count(*) FROM t").Scan(&n); !errors.Is(err, driver.ErrReplaced) {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := os.Stat(r.live); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a new file was made: %v", err)
	}
	r.mv()
	testenv.Eventually(t, func() error {
		if err := r.pool.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 50 {
			return fmt.Errorf("with a file there again: %d, %v", n, err)
		}
		return nil
	})
}

// TestAWriteToAFileThatIsGoneFailsAsSQLiteSays: with a rollback journal SQLite checks
// before each write.
func TestAWriteToAFileThatIsGoneFailsAsSQLiteSays(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "DELETE")
	if err := os.Remove(r.live); err != nil {
		t.Fatal(err)
	}
	prepared, err := r.pool.Prepare("INSERT INTO t (stamp) VALUES ('lost')")
	if err != nil {
		t.Fatal(err)
	}
	defer prepared.Close()
	_, err = prepared.Exec()
	var se sqlite3.Error
	if !errors.As(err, &se) || se.Code != sqlite3.ErrReadonly {
		t.Errorf("got %v", err)
	}
	r.mv()
	r.write() // the next file is there
	if got := stamps(t, r.pool); got != "new 70" {
		t.Error(got)
	}
}
