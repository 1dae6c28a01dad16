package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/testenv"
)

// TestASymlinkThatIsTurnedIsAReplacement: of the file, or of a directory on the way to
// it, as releases (current) and Kubernetes (..data) have them.
func TestASymlinkThatIsTurnedIsAReplacement(t *testing.T) {
	t.Parallel()
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
				if err := inside.Of(d).CheckFile(t.Context()); err != nil {
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

// TestTheGenerationAdvancesBeforeTheFirstReadOfAFileThatWasPutThere while no connection
// was open; and OnSwap runs although Rows stay open.
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

// TestAFileWithTheInodeNumberOfTheOneBeforeIsNoticed: ext4 reuses the number at once.
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

// TestFilesThatAreMovedThereOneAfterAnotherHoldUpNoCall: each has just been written, so
// none may be adopted. The old one stays in use meanwhile.
func TestFilesThatAreMovedThereOneAfterAnotherHoldUpNoCall(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	content, err := os.ReadFile(r.next)
	if err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	var rested atomic.Bool // a file was there long enough to be adopted
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
	// Once one has rested it may be adopted, and the next may come between the close of the
	// old one and the open of the new: then nothing is open, calls are refused for as long
	// as files go on coming, and nobody ticks.
	for began := driver.Ticks(r.db); driver.Ticks(r.db) < began+3 && !rested.Load(); {
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
