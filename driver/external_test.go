package driver_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// replaced is a pool on a database, stamped "old" with writes in its WAL, and a
// "new" one beside it.
type replaced struct {
	t          *testing.T
	live, next string
	pool       *sql.DB
	db         *driver.Database
	log        *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var externalDrivers atomic.Int64

func startReplaced(t *testing.T, journal string, opts ...driver.Option) *replaced {
	t.Helper()
	dir := t.TempDir()
	r := &replaced{t: t, live: filepath.Join(dir, "live.db"), next: filepath.Join(dir, "next.db"), log: &syncBuffer{}}
	fill := func(path, stamp string) {
		db, err := sql.Open("sqlite3", "file:"+path+"?_journal="+journal)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for i := range 50 {
			if _, err := db.Exec("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, stamp TEXT); INSERT INTO t VALUES (?, ?)", i, stamp); err != nil {
				t.Fatal(err)
			}
		}
	}
	fill(r.live, "old")
	fill(r.next, "new")
	name := fmt.Sprintf("external-%d", externalDrivers.Add(1))
	sql.Register(name, driver.New(append(opts, driver.WithLogger(zerolog.New(r.log)))...))
	var err error
	if r.pool, err = sql.Open(name, "file:"+r.live+"?_journal="+journal); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.pool.Close() })
	r.write()
	r.db, _ = driver.Lookup(r.live)
	return r
}

// write leaves writes in the WAL, of the file that is live.
func (r *replaced) write() {
	r.t.Helper()
	for range 20 {
		if _, err := r.pool.Exec("INSERT INTO t (stamp) SELECT stamp FROM t LIMIT 1"); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *replaced) mv() {
	r.t.Helper()
	if err := os.Rename(r.next, r.live); err != nil {
		r.t.Fatal(err)
	}
}

func stamps(t *testing.T, db interface {
	QueryRow(string, ...any) *sql.Row
}) string {
	t.Helper()
	var s string
	if err := db.QueryRow("SELECT group_concat(DISTINCT stamp) || ' ' || count(*) FROM t").Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *replaced) sound() {
	r.t.Helper()
	var ok string
	if err := r.pool.QueryRow("PRAGMA integrity_check").Scan(&ok); err != nil || ok != "ok" {
		r.t.Errorf("integrity_check: %s, %v", ok, err)
	}
}

// TestAFileReplacedBehindOurBackIsAdoptedByAllConnectionsTogether: nothing of the
// old WAL is in the new file, and who kept the old file has all of it.
func TestAFileReplacedBehindOurBackIsAdoptedByAllConnectionsTogether(t *testing.T) {
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
			testenv.Eventually(t, func() error {
				if g := r.db.Generation(); g != 2 {
					return fmt.Errorf("generation %d", g)
				}
				return nil
			})
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
				if !strings.Contains(r.log.String(), "replaced by something else") {
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
	for _, journal := range []string{"WAL", "DELETE"} {
		t.Run(journal, func(t *testing.T) {
			r := startReplaced(t, journal)
			r.pool.SetMaxOpenConns(4)
			old := r.live + ".old"
			if err := os.Link(r.live, old); err != nil {
				t.Fatal(err)
			}
			stop := make(chan struct{})
			var wg sync.WaitGroup
			var written atomic.Int64
			for range 4 {
				wg.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						if _, err := r.pool.Exec("INSERT INTO t (stamp) SELECT stamp FROM t LIMIT 1"); err != nil {
							t.Error(err)
							return
						}
						written.Add(1)
					}
				})
			}
			r.mv()
			testenv.Eventually(t, func() error {
				if r.db.Generation() != 2 {
					return errors.New("not adopted")
				}
				return nil
			})
			at := written.Load()
			testenv.Eventually(t, func() error {
				if written.Load() < at+20 {
					return errors.New("no writes after it")
				}
				return nil
			})
			close(stop)
			wg.Wait()
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
	r := startReplaced(t, "WAL")
	r.mv()
	r.pool.SetMaxIdleConns(-1) // closes what is idle
	if _, err := os.Stat(r.live + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old WAL is still there: %v", err)
	}
	if got := stamps(t, r.pool); got != "new 50" {
		t.Error(got)
	}
	testenv.Eventually(t, func() error {
		if g := r.db.Generation(); g != 2 {
			return fmt.Errorf("generation %d", g)
		}
		return nil
	})
}

func TestAFirstUseAfterIdlingSeesTheReplacedFileAtOnce(t *testing.T) {
	r := startReplaced(t, "WAL")
	looks := driver.Looks(r.db)
	testenv.Eventually(t, func() error {
		if driver.Looks(r.db) == looks {
			return errors.New("nobody looks")
		}
		return nil
	})
	driver.StopLooking(r.db)
	r.mv()
	if got := stamps(t, r.pool); got != "new 50" {
		t.Errorf("the first use after it reads %q", got)
	}
}

func TestALeakedReaderDoesNotKeepTheOthersOnAReplacedFile(t *testing.T) {
	r := startReplaced(t, "WAL")
	rows, err := r.pool.Query("SELECT id FROM t")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	rows.Next()
	r.mv()
	testenv.Eventually(t, func() error {
		if g := r.db.Generation(); g != 2 {
			return fmt.Errorf("generation %d", g)
		}
		return nil
	})
	if got := stamps(t, r.pool); got != "new 50" {
		t.Error(got)
	}
	for rows.Next() {
	}
	if !errors.Is(rows.Err(), driver.ErrForced) {
		t.Errorf("the reader ended with %v", rows.Err())
	}
}

func TestAReplacedFileIsRefusedIfToldSoUntilTheOldOneIsBack(t *testing.T) {
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
	// What is under way ends, in the old file.
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
	r := startReplaced(t, "WAL")
	conn, err := r.pool.Conn(t.Context()) // has the old file open
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := os.Remove(r.live); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := r.pool.QueryRow("SELECT count(*) FROM t").Scan(&n); !errors.Is(err, driver.ErrReplaced) {
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
