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
	"hotswap/swapper"
)

// attach opens a pool of one connection on main that has the service's database
// attached as "other".
func (s *service) attach(main string) *sql.DB {
	s.t.Helper()
	pool, err := sql.Open(driver.Name, main)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { pool.Close() })
	pool.SetMaxOpenConns(1)
	if _, err := pool.Exec("ATTACH ? AS other", s.path); err != nil {
		s.t.Fatal(err)
	}
	if got := attached(s.t, pool); got != "live" {
		s.t.Fatal(got)
	}
	return pool
}

func attached(t testing.TB, pool *sql.DB) (stamp string) {
	t.Helper()
	if err := pool.QueryRow("SELECT group_concat(DISTINCT stamp) FROM other.items").Scan(&stamp); err != nil {
		t.Error(err)
	}
	return stamp
}

func TestAPushClosesTheConnectionsOfOtherDatabasesThatHaveItAttached(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE"} {
		t.Run(journal, func(t *testing.T) {
			s := start(t, t.TempDir(), "&_journal="+journal)
			other := s.attach(filepath.Join(t.TempDir(), "main.sqlite3"))
			r := s.mustPush(source(t, "new"), swapper.PushOptions{Method: swapper.MethodRename})
			if got := attached(t, other); got != "new" || s.stamp() != "new" || r.Generation != 2 {
				t.Errorf("attached it reads %s; %+v", got, r)
			}
			// And once it is detached it is of no concern.
			if _, err := other.Exec("DETACH other"); err != nil {
				t.Fatal(err)
			}
			tx, err := other.Begin()
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			s.mustPush(source(t, "newer"), swapper.PushOptions{Method: swapper.MethodRename})
		})
	}
}

func TestAnAttacherThatIsHeldSendsThePushInPlace(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	other := s.attach(filepath.Join(t.TempDir(), "main.sqlite3"))
	tx, err := other.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var n int
	if err := tx.QueryRow("SELECT count(*) FROM other.items").Scan(&n); err != nil {
		t.Fatal(err)
	}
	s.refuses(swapper.PushOptions{Method: swapper.MethodRename}, swapper.ErrBusy, "main.sqlite3, which has this database attached", "SELECT count(*) FROM other.items")
	r := s.mustPush(source(t, "new"), swapper.PushOptions{})
	if r.Method != swapper.MethodInPlace {
		t.Errorf("%+v", r)
	}
	tx.Rollback()
	if got := attached(t, other); got != "new" {
		t.Errorf("attached it reads %s", got)
	}
}

// TestAForcedPushNamesTheAttacherWhoseTransactionItLeavesAlone: it is another database's.
func TestAForcedPushNamesTheAttacherWhoseTransactionItLeavesAlone(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE"} {
		s := start(t, t.TempDir(), "&_journal="+journal)
		main := side(t)
		tx, err := s.attach(main).Begin()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec("INSERT INTO other.items (stamp) VALUES ('live')"); err != nil {
			t.Fatal(err)
		}
		_, err = s.push(source(t, "new"), swapper.PushOptions{Timeout: 50 * time.Millisecond, Force: true, Method: swapper.MethodInPlace})
		if !errors.Is(err, swapper.ErrBusy) || !strings.Contains(err.Error(), filepath.Base(main)+", which has it attached") || strings.Contains(err.Error(), "--force") {
			t.Errorf("%s: %v", journal, err)
		}
		if err := tx.Commit(); err != nil {
			t.Errorf("%s: the transaction's owner got %v", journal, err)
		}
	}
}

func TestAnAttacherThatIsNotManagedSendsThePushInPlace(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	other := s.attach(":memory:")
	s.refuses(swapper.PushOptions{Method: swapper.MethodRename}, swapper.ErrBusy, "ATTACH from a database in memory")
	r := s.mustPush(source(t, "new"), swapper.PushOptions{})
	if got := attached(t, other); got != "new" || r.Method != swapper.MethodInPlace {
		t.Errorf("attached it reads %s; %+v", got, r)
	}
}

// TestOnSwapMayUseADatabaseThatHasThisOneAttached: its calls don't wait for the
// callbacks, either, which may be slow.
func TestOnSwapMayUseADatabaseThatHasThisOneAttached(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE"} {
		for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
			t.Run(journal+"/"+string(method), func(t *testing.T) {
				s := start(t, t.TempDir(), "&_journal="+journal)
				other := s.attach(side(t))
				stamps := make(chan string, 1)
				defer s.db.OnSwap(func(driver.Swap) {
					ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
					defer cancel()
					var stamp string
					if err := other.QueryRowContext(ctx, "SELECT DISTINCT stamp FROM other.items").Scan(&stamp); err != nil {
						t.Error(err)
					}
					stamps <- stamp
				})()
				s.mustPush(source(t, "new"), swapper.PushOptions{Method: method})
				if got := <-stamps; got != "new" {
					t.Error(got)
				}
			})
		}
	}
}

// TestAPushWaitsForTheSwapOfADatabaseThatHasThisOneAttached: that one may have to wait
// for what it holds, and this one is not refused meanwhile.
func TestAPushWaitsForTheSwapOfADatabaseThatHasThisOneAttached(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"in time", "too late"} {
		t.Run(end, func(t *testing.T) {
			s := start(t, t.TempDir(), "&_journal=WAL")
			main := filepath.Join(t.TempDir(), "main.sqlite3")
			other := s.attach(main)
			mainDB, ok := driver.Lookup(main)
			if !ok {
				t.Fatal("main is not managed")
			}
			tx, err := other.Begin()
			if err != nil {
				t.Fatal(err)
			}
			defer tx.Rollback()
			draining := make(chan struct{})
			swapped := make(chan error, 1)
			go func() {
				frozen, err := mainDB.Freeze(t.Context(), driver.FreezeOptions{Notify: func(e driver.FreezeEvent) {
					if e.Step == driver.FreezeWaiting {
						close(draining)
					}
				}})
				if err == nil {
					frozen.Thaw()
				}
				swapped <- err
			}()
			<-draining
			waiting := make(chan struct{})
			opts := swapper.PushOptions{Method: swapper.MethodRename, Notify: func(e swapper.Event) {
				if e.Step == swapper.StepWaiting && strings.Contains(e.Text, "main.sqlite3, which has this database attached") {
					close(waiting)
				}
			}}
			if end == "too late" {
				opts.Timeout = 100 * time.Millisecond
				s.refuses(opts, swapper.ErrBusy, "main.sqlite3, which has this database attached, can't be drained", "another swap")
				select {
				case <-waiting:
				default:
					t.Error("it did not wait")
				}
			} else {
				pushed := make(chan error, 1)
				go func() {
					_, err := s.push(source(t, "new"), opts)
					pushed <- err
				}()
				select {
				case <-waiting:
				case err := <-pushed:
					t.Fatalf("it did not wait: %v", err)
				}
				tx.Rollback()
				if err := <-pushed; err != nil {
					t.Fatal(err)
				}
				if got := attached(t, other); got != "new" {
					t.Errorf("attached it reads %s", got)
				}
			}
			tx.Rollback()
			if err := <-swapped; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestPushesOfDatabasesThatHaveEachOtherAttachedBothEnd: neither holds the one while it
// wants the other.
func TestPushesOfDatabasesThatHaveEachOtherAttachedBothEnd(t *testing.T) {
	t.Parallel()
	a, b := start(t, t.TempDir(), "&_journal=WAL"), start(t, t.TempDir(), "&_journal=WAL")
	b.attach(a.path)
	a.attach(b.path)
	ended, data := make(chan error), source(t, "new")
	for range 5 {
		for _, s := range []*service{a, b} {
			go func() {
				_, err := s.push(data, swapper.PushOptions{})
				ended <- err
			}()
		}
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
}
