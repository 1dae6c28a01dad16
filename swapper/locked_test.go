package swapper_test

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// locks are the transactions that shut readers out of a database with a rollback journal.
var locks = map[string]string{
	"BEGIN EXCLUSIVE":       "BEGIN EXCLUSIVE; INSERT INTO items (stamp) VALUES ('half') -- leaked",
	"larger than its cache": "PRAGMA cache_size=2; PRAGMA cache_spill=1; BEGIN; INSERT INTO items (stamp, filler) SELECT 'half', filler FROM items, (SELECT 1 UNION SELECT 2) -- leaked",
}

// lock leaves such a transaction open on a connection of the program's.
func (s *service) lock(query string) *sql.Conn {
	s.t.Helper()
	c, err := s.pool.Conn(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if _, err := c.ExecContext(s.t.Context(), query); err != nil {
		s.t.Fatal(err)
	}
	return c
}

func TestATransactionThatShutsReadersOutRefusesAPushByName(t *testing.T) {
	t.Parallel()
	for name, query := range locks {
		for _, opts := range []swapper.PushOptions{
			{}, {Method: swapper.MethodRename}, {Method: swapper.MethodInPlace}, {SkipSchemaCheck: true}, {DryRun: true}, {DryRun: true, Force: true},
		} {
			opts.Timeout = 50 * time.Millisecond
			s := start(t, t.TempDir(), "&_journal=DELETE")
			c := s.lock(query)
			r, err := s.push(source(t, "new"), opts)
			var held *driver.HeldError
			if !errors.Is(err, swapper.ErrBusy) || !errors.As(err, &held) || len(held.Holders) != 1 || held.Holders[0].For <= 0 || len(r.Holders) != 1 {
				t.Fatalf("%s, %+v: %v", name, opts, err)
			}
			for _, says := range []string{"a transaction begun by SQL text for at least", "(" + query[:20], "--timeout", "the live database is unchanged"} {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%s, %+v: it does not say %q: %v", name, opts, says, err)
				}
			}
			if offers := strings.Contains(err.Error(), "--force"); offers == opts.Force {
				t.Errorf("%s, %+v: --force offered: %v: %v", name, opts, offers, err)
			}
			if _, err := c.ExecContext(t.Context(), "COMMIT"); err != nil {
				t.Errorf("%s, %+v: its owner got %v", name, opts, err)
			}
			s.mustPush(source(t, "new"), swapper.PushOptions{})
		}
	}
}

func TestAForcedPushEndsATransactionThatShutsReadersOut(t *testing.T) {
	t.Parallel()
	for name, query := range locks {
		for _, method := range []swapper.Method{swapper.MethodAuto, swapper.MethodRename, swapper.MethodInPlace} {
			s := start(t, t.TempDir(), "&_journal=DELETE")
			c := s.lock(query)
			r := s.mustPush(source(t, "new"), swapper.PushOptions{Timeout: 50 * time.Millisecond, Force: true, Method: method, Backup: true})
			if len(r.Holders) == 0 || !strings.Contains(r.Holders[0].Query, "leaked") {
				t.Errorf("%s, %s: the report names the holders %v", name, method, r.Holders)
			}
			if _, err := c.ExecContext(t.Context(), "COMMIT"); !errors.Is(err, driver.ErrForced) {
				t.Errorf("%s, %s: its owner got %v", name, method, err)
			}
			if s.stamp() != "new" {
				t.Errorf("%s, %s: %s", name, method, s.stamp())
			}
			if got := stampsIn(t, r.BackupPath); got != "live" {
				t.Errorf("%s, %s: the backup has %s", name, method, got)
			}
		}
	}
}

// TestAForcedPushInPlaceEndsAWriteTransaction: in WAL mode it is in nobody's way but of
// the lock that the copy needs.
func TestAForcedPushInPlaceEndsAWriteTransaction(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	c := s.lock("BEGIN IMMEDIATE; INSERT INTO items (stamp) VALUES ('half')")
	s.mustPush(source(t, "new"), swapper.PushOptions{Timeout: 50 * time.Millisecond, Force: true, Method: swapper.MethodInPlace})
	if _, err := c.ExecContext(t.Context(), "COMMIT"); !errors.Is(err, driver.ErrForced) {
		t.Errorf("its owner got %v", err)
	}
	if s.stamp() != "new" {
		t.Error(s.stamp())
	}
}

// TestAForcedPushReadsTheSchemaBehindItsHolders: what is refused after that is refused,
// with the program's calls going on.
func TestAForcedPushReadsTheSchemaBehindItsHolders(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=DELETE")
	s.exec("CREATE TABLE more (v)")
	s.lock(locks["BEGIN EXCLUSIVE"])
	r, err := s.push(source(t, "new"), swapper.PushOptions{Timeout: 50 * time.Millisecond, Force: true})
	if !errors.Is(err, swapper.ErrSchema) || r.Pause == 0 {
		t.Errorf("%v after a pause of %v", err, r.Pause)
	}
	s.exec("INSERT INTO items (stamp) VALUES ('live')")
	if s.stamp() != "live" {
		t.Error(s.stamp())
	}
}

// TestALockOfAnotherProcessIsSaidAndNothingIsInterruptedForIt: the program's own call
// waits for it, too, and to end that would not help.
func TestALockOfAnotherProcessIsSaidAndNothingIsInterruptedForIt(t *testing.T) {
	t.Parallel()
	for _, lock := range []struct{ journal, by string }{
		{"DELETE", "BEGIN EXCLUSIVE"},
		{"DELETE", "BEGIN IMMEDIATE"},
		{"DELETE", "BEGIN; " + readStamps}, // the program's commit waits for it, and shuts readers out
		{"WAL", "BEGIN IMMEDIATE"},
	} {
		for _, force := range []bool{true, false} {
			for _, method := range []swapper.Method{swapper.MethodAuto, swapper.MethodInPlace} {
				t.Run(fmt.Sprintf("%s/%s/%v/%s", lock.journal, lock.by, force, method), func(t *testing.T) {
					t.Parallel()
					s := start(t, t.TempDir(), "&_busy_timeout=60000&_journal="+lock.journal)
					o := startOther(t, "file:"+s.path)
					o.must(lock.by)
					waits := make(chan error, 1)
					go func() {
						_, err := s.pool.Exec("INSERT INTO items (stamp) VALUES ('live')")
						waits <- err
					}()
					testenv.Until(t, "the call is at it", func() bool { return len(s.db.Holders()) > 0 })
					_, err := s.push(source(t, "new"), swapper.PushOptions{Timeout: 50 * time.Millisecond, Force: force, Method: method})
					var held *driver.HeldError
					who := fmt.Sprintf("process %d ", o.Process.Pid)
					if !errors.Is(err, swapper.ErrBusy) || errors.As(err, &held) || !strings.Contains(err.Error(), who) || strings.Contains(err.Error(), "--force") {
						t.Errorf("got %v, with %s holding it", err, who)
					}
					o.must("COMMIT")
					if err := <-waits; err != nil {
						t.Errorf("the call that waited: %v", err)
					}
				})
			}
		}
	}
}

// stampsIn reads a database of the fixture's that nobody has open.
func stampsIn(t *testing.T, path string) (stamps string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(readStamps).Scan(&stamps); err != nil {
		t.Fatal(err)
	}
	return stamps
}
