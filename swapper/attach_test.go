package swapper_test

import (
	"context"
	"database/sql"
	"path/filepath"
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

func TestAnAttacherThatIsNotManagedSendsThePushInPlace(t *testing.T) {
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
