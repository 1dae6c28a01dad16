package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// swaps are what OnSwap was told.
func (r *replaced) swaps() <-chan driver.Swap {
	r.t.Helper()
	told := make(chan driver.Swap, 10)
	r.t.Cleanup(r.db.OnSwap(func(s driver.Swap) { told <- s }))
	return told
}

func within[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(time.Minute):
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}

// TestTheOldFileServesUntilAWholeOneIsThere: as untar, docker cp and curl -o put it
// there, removed, made empty, and filled in pieces.
func TestTheOldFileServesUntilAWholeOneIsThere(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE"} {
		t.Run(journal, func(t *testing.T) {
			t.Parallel()
			r := startReplaced(t, journal)
			r.pool.SetMaxOpenConns(1)
			content, err := os.ReadFile(r.next)
			if err != nil {
				t.Fatal(err)
			}
			serves := func(after string, looks uint64) {
				t.Helper()
				for began := driver.Looks(r.db); driver.Looks(r.db) < began+looks; time.Sleep(10 * time.Millisecond) {
					if got := stamps(t, r.pool); got != "old 70" {
						t.Fatalf("after it was %s: %s", after, got)
					}
				}
			}
			if err := os.Remove(r.live); err != nil {
				t.Fatal(err)
			}
			serves("removed", 1)
			f, err := os.Create(r.live)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			serves("made empty", 3)
			if r.db.Warning() == "" || !strings.Contains(r.log.String(), "is not used") {
				t.Errorf("nobody is told: %q, %s", r.db.Warning(), r.log)
			}
			for _, n := range []int{50, 5000} {
				if _, err := f.Write(content[:n]); err != nil {
					t.Fatal(err)
				}
				content = content[n:]
				serves(fmt.Sprintf("filled by %d bytes", n), 2)
			}
			if _, err := f.Write(content); err != nil {
				t.Fatal(err)
			}
			r.adopted()
			if got := stamps(t, r.pool); got != "new 50" {
				t.Error(got)
			}
			if w := r.db.Warning(); w != "" {
				t.Errorf("warned still: %s", w)
			}
			r.write()
			r.sound()
		})
	}
}

// TestABrokenFileIsKeptOut, and the next whole one is adopted.
func TestABrokenFileIsKeptOut(t *testing.T) {
	for name, spoil := range map[string]func([]byte) []byte{
		"empty":   func([]byte) []byte { return nil },
		"cut":     func(b []byte) []byte { return b[:len(b)-4096] },
		"garbage": func(b []byte) []byte { return []byte(strings.Repeat("no database ", len(b)/12)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReplaced(t, "WAL")
			content, err := os.ReadFile(r.next)
			if err != nil {
				t.Fatal(err)
			}
			bad := r.live + ".bad"
			if err := os.WriteFile(bad, spoil(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(bad, r.live); err != nil {
				t.Fatal(err)
			}
			testenv.Until(t, "the log warns", func() bool { return strings.Contains(r.log.String(), "is not used") })
			if got := stamps(t, r.pool); got != "old 70" {
				t.Error(got)
			}
			r.write() // into the old one
			if w := r.db.Warning(); w == "" {
				t.Error("no warning")
			}
			// A connection that has to be opened gets an error that says so.
			pinned := connect(t, r.pool)
			defer pinned.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if _, err := r.pool.Conn(ctx); !errors.Is(err, driver.ErrReplaced) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a new connection: %v", err)
			}
			r.mv()
			r.adopted()
			pinned.Close()
			if got := stamps(t, r.pool); got != "new 50" {
				t.Error(got)
			}
		})
	}
}

// TestASymlinkThatIsTurnedIsAReplacement: of the file, or of a directory on the way
// to it, as releases (current) and Kubernetes (..data) have it.
func TestASymlinkThatIsTurnedIsAReplacement(t *testing.T) {
	for _, idle := range []bool{false, true} {
		for _, link := range []string{"current", "current/live.db"} {
			t.Run(fmt.Sprintf("%s,idle=%v", filepath.Base(link), idle), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				for _, rel := range []string{"rel1", "rel2"} {
					if err := os.Mkdir(filepath.Join(dir, rel), 0o700); err != nil {
						t.Fatal(err)
					}
					db, err := sql.Open("sqlite3", filepath.Join(dir, rel, "live.db")+"?_journal=WAL")
					if err != nil {
						t.Fatal(err)
					}
					mustExec(t, db, "CREATE TABLE t (stamp); INSERT INTO t VALUES ('"+rel+"')")
					db.Close()
				}
				if link != "current" {
					if err := os.Mkdir(filepath.Join(dir, "current"), 0o700); err != nil {
						t.Fatal(err)
					}
				}
				turn := func(rel string) {
					t.Helper()
					target := filepath.Join(dir, rel)
					if link != "current" {
						target = filepath.Join(target, "live.db")
					}
					next := filepath.Join(dir, "next")
					if err := os.Symlink(target, next); err != nil {
						t.Fatal(err)
					}
					if err := os.Rename(next, filepath.Join(dir, link)); err != nil {
						t.Fatal(err)
					}
				}
				turn("rel1")
				name := filepath.Join(dir, "current", "live.db")
				pool, err := sql.Open(driver.Name, name)
				if err != nil {
					t.Fatal(err)
				}
				defer pool.Close()
				if idle {
					pool.SetMaxIdleConns(-1)
				}
				if got := stamps(t, pool); got != "rel1 1" {
					t.Fatal(got)
				}
				mustExec(t, pool, "INSERT INTO t VALUES ('rel1')")
				d, ok := driver.Lookup(name)
				if !ok {
					t.Fatal("not managed")
				}
				told := make(chan driver.Swap, 10)
				defer d.OnSwap(func(s driver.Swap) { told <- s })()
				turn("rel2")
				if again, ok := driver.Lookup(name); !ok || again != d {
					t.Error("not found by its name, which leads elsewhere since a moment ago")
				}
				if err := d.CheckFile(t.Context()); err != nil {
					t.Error(err)
				}
				if got := stamps(t, pool); got != "rel2 1" {
					t.Error(got)
				}
				if s := within(t, "OnSwap", told); s.Path != filepath.Join(dir, "rel2", "live.db") || s.Generation != 2 || !s.External {
					t.Errorf("%+v", s)
				}
				if got, _ := driver.Lookup(name); got != d || d.Path() != filepath.Join(dir, "rel2", "live.db") {
					t.Errorf("%s", d.Path())
				}
				if err := os.RemoveAll(filepath.Join(dir, "rel1")); err != nil {
					t.Fatal(err)
				}
				mustExec(t, pool, "INSERT INTO t VALUES ('rel2')")
				if got := stamps(t, pool); got != "rel2 2" {
					t.Error(got)
				}
				// Back, by a directory that is new.
				if err := os.Rename(filepath.Join(dir, "rel2"), filepath.Join(dir, "rel3")); err != nil {
					t.Fatal(err)
				}
				turn("rel3")
				testenv.Eventually(t, func() error {
					if got := stamps(t, pool); got != "rel2 2" || d.Path() != filepath.Join(dir, "rel3", "live.db") {
						return fmt.Errorf("%s, at %s", got, d.Path())
					}
					return nil
				})
			})
		}
	}
}

// TestALoopThatQueriesInsideItsRowsGoesOnOverAReplacement: the query inside is an
// idle connection's first use, by the goroutine that holds the Rows.
func TestALoopThatQueriesInsideItsRowsGoesOnOverAReplacement(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	r.pool.SetMaxIdleConns(4)
	a, b := connect(t, r.pool), connect(t, r.pool)
	for _, c := range []*sql.Conn{a, b} {
		if err := c.PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	looks := driver.Looks(r.db)
	testenv.Until(t, "somebody looked", func() bool { return driver.Looks(r.db) > looks })
	rows, err := r.pool.Query("SELECT id FROM t")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		if n++; n == 1 {
			old := time.Now().Add(-time.Hour)
			if err := os.Chtimes(r.next, old, old); err != nil { // nobody writes to it
				t.Fatal(err)
			}
			r.mv()
			driver.Looked(r.db) // for the idle connection it is time to look
		}
		var most int
		if err := r.pool.QueryRow("SELECT max(id) FROM t").Scan(&most); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil || n != 70 {
		t.Errorf("%d rows, %v", n, err)
	}
	rows.Close()
	r.adopted()
	if got := stamps(t, r.pool); got != "new 50" {
		t.Error(got)
	}
}

// TestOnSwapMayQueryWithThePoolsOnlyConnection: also if that connection's first use
// after idling was what saw the replaced file.
func TestOnSwapMayQueryWithThePoolsOnlyConnection(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	r.pool.SetMaxOpenConns(1)
	read := make(chan string, 1)
	defer r.db.OnSwap(func(driver.Swap) {
		var s string
		if err := r.pool.QueryRow("SELECT group_concat(DISTINCT stamp) FROM t").Scan(&s); err != nil {
			s = err.Error()
		}
		read <- s
	})()
	looks := driver.Looks(r.db)
	testenv.Until(t, "somebody looked", func() bool { return driver.Looks(r.db) > looks })
	driver.StopLooking(r.db)
	r.mv()
	if got := stamps(t, r.pool); got != "new 50" {
		t.Errorf("the first use reads %s", got)
	}
	if got := within(t, "the callback", read); got != "new" {
		t.Errorf("the callback reads %s", got)
	}
}

// TestTheGenerationAdvancesBeforeTheFirstReadOfAFileThatWasPutThere while no
// connection was open; and OnSwap is told although Rows stay open.
func TestTheGenerationAdvancesBeforeTheFirstReadOfAFileThatWasPutThere(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	told := r.swaps()
	r.pool.SetMaxIdleConns(-1)
	r.mv()
	r.pool.SetMaxIdleConns(2)
	rows, err := r.pool.Query("SELECT stamp FROM t")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var stamp string
	if !rows.Next() || rows.Scan(&stamp) != nil || stamp != "new" {
		t.Fatal(stamp, rows.Err())
	}
	if g := r.db.Generation(); g != 2 {
		t.Errorf("the new file was read in generation %d", g)
	}
	if s := within(t, "OnSwap", told); s.Generation != 2 || !s.External {
		t.Errorf("%+v", s)
	}
}

// TestAFileWithTheInodeNumberOfTheOneBeforeIsNoticed: ext4 gives it again at once.
func TestAFileWithTheInodeNumberOfTheOneBeforeIsNoticed(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	told := r.swaps()
	content, err := os.ReadFile(r.next)
	if err != nil {
		t.Fatal(err)
	}
	r.pool.SetMaxIdleConns(-1)
	for i := range 3 {
		if err := os.Remove(r.live); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(r.live, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := stamps(t, r.pool); got != "new 50" {
			t.Fatal(got)
		}
		if s := within(t, "OnSwap", told); s.Generation != uint64(i+2) {
			t.Errorf("%+v", s)
		}
	}
}

// TestThePoolsEndIsTheWatchsEnd: also of one that refuses another file.
func TestThePoolsEndIsTheWatchsEnd(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL", driver.WithExternalReplace(driver.RefuseReplaced))
	r.mv()
	testenv.Eventually(t, func() error {
		if err := r.pool.Ping(); !errors.Is(err, driver.ErrReplaced) {
			return fmt.Errorf("not refused yet: %v", err)
		}
		return nil
	})
	if err := r.pool.Close(); err != nil {
		t.Fatal(err)
	}
	if driver.Watched(r.db) {
		t.Error("it is still looked after")
	}
	// The next pool begins with what is there.
	pool, err := sql.Open(driver.Name, r.live)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if got := stamps(t, pool); got != "new 50" {
		t.Error(got)
	}
}

// TestAJournalModeInTheDSNIsSetByOneConnectionAlone: to convert a file that has
// another one it needs the file to itself, and else "database is locked" comes of it
// now and then.
func TestAJournalModeInTheDSNIsSetByOneConnectionAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.db")
	opening, goOn := make(chan struct{}, 2), make(chan struct{})
	drv := register(t, driver.WithConnectHook(func(*sqlite3.SQLiteConn) error {
		opening <- struct{}{}
		<-goOn
		return nil
	}))
	pool, err := sql.Open(drv, "file:"+path+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	ended := make(chan error, 2)
	for range 2 {
		go func() { ended <- pool.Ping() }()
	}
	within(t, "the first connection", opening)
	select {
	case <-opening:
		t.Error("a second connection is opened beside the first")
	case <-time.After(50 * time.Millisecond):
	}
	close(goOn)
	for range 2 {
		if err := within(t, "a connection", ended); err != nil {
			t.Error(err)
		}
	}
}

// TestFilesThatAreMovedThereOneAfterAnotherHoldUpNoCall: each has just been written, so
// that none may be adopted. The old one serves meanwhile.
func TestFilesThatAreMovedThereOneAfterAnotherHoldUpNoCall(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	content, err := os.ReadFile(r.next)
	if err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	var rested atomic.Bool // a file lay there for so long that it could be adopted
	go func() {
		defer close(stopped)
		for fresh, last := r.live+".fresh", time.Now(); ; {
			if err := errors.Join(os.WriteFile(fresh, content, 0o600), os.Rename(fresh, r.live)); err != nil {
				t.Error(err)
				return
			}
			if time.Since(last) > 150*time.Millisecond {
				rested.Store(true)
			}
			last = time.Now()
			select {
			case <-time.After(50 * time.Millisecond):
			case <-stop:
				return
			}
		}
	}()
	for began := driver.Looks(r.db); driver.Looks(r.db) < began+3; {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		var n int
		err := r.pool.QueryRowContext(ctx, "SELECT count(*) FROM t").Scan(&n)
		cancel()
		if err != nil && !(rested.Load() && errors.Is(err, driver.ErrReplaced)) {
			t.Error(err)
			break
		}
	}
	close(stop)
	<-stopped
	testenv.Eventually(t, func() error {
		if got := stamps(t, r.pool); got != "new 50" {
			return errors.New(got)
		}
		return nil
	})
}
