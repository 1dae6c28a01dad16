package swapper_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/swapper"
)

// TestARehearsalLeavesNothingBehind of a hook that writes: neither in what is pushed,
// nor beside it, nor in a managed database that is attached.
func TestARehearsalLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	s := startWith(t, "_journal=WAL", driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		runs.Add(1)
		for _, q := range []string{"PRAGMA journal_mode=WAL", "INSERT INTO items (stamp) VALUES ('hook')"} {
			if _, err := c.Exec(q, nil); err != nil {
				return err
			}
		}
		return nil
	}))
	other := start(t, t.TempDir(), "")
	conn, err := s.pool.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	s.tell(conn, "ATTACH ? AS other; PRAGMA other.cache_size = 77", other.path)
	s.tell(conn, "ATTACH ? AS self", s.path)
	before := runs.Load()
	r := s.mustPush(source(t, "new"), swapper.PushOptions{DryRun: true})
	if runs.Load() == before {
		t.Error("the hook did not run")
	}
	s.onlyFiles("live.sqlite3")
	other.onlyFiles("live.sqlite3")
	// By rename, while the other database is written to: nothing waits for it.
	tx := other.openTx("UPDATE items SET stamp = stamp")
	if r, err = s.push(source(t, "new"), swapper.PushOptions{Method: swapper.MethodRename, DryRun: true}); err != nil || r.SHA256 == "" {
		t.Errorf("%+v, %v", r, err)
	}
	tx.Rollback()
	s.mustPush(source(t, "new"), swapper.PushOptions{})
	var hooks int
	if err := s.pool.QueryRow("SELECT count(*) FROM items WHERE stamp = 'hook'").Scan(&hooks); err != nil || hooks > 2 {
		t.Errorf("%d rows of the hook's, one for each connection at most, %v", hooks, err)
	}
	var size int
	if err := conn.QueryRowContext(context.Background(), "PRAGMA other.cache_size").Scan(&size); err != nil || size != 77 {
		t.Errorf("%d, %v", size, err)
	}
}

// TestAStaleAttachDoesNotBlockPushesForEver: a push may be told not to rehearse. What
// can't be replayed then is left out, with a line in the log.
func TestAStaleAttachDoesNotBlockPushesForEver(t *testing.T) {
	t.Parallel()
	s := startWith(t, "")
	conn, err := s.pool.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	gone := filepath.Join(t.TempDir(), "gone.sqlite3")
	s.tell(conn, "PRAGMA cache_size = 77")
	s.tell(conn, "ATTACH ? AS side; PRAGMA side.cache_size = 5", gone)
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	if _, err := s.push(source(t, "new"), swapper.PushOptions{}); !errors.Is(err, swapper.ErrBadDatabase) {
		t.Errorf("%v", err)
	}
	s.mustPush(source(t, "new"), swapper.PushOptions{SkipRehearsal: true})
	var size int
	if err := conn.QueryRowContext(context.Background(), "PRAGMA cache_size").Scan(&size); err != nil || size != 77 {
		t.Errorf("%d, %v", size, err)
	}
	if _, err := os.Lstat(gone); err == nil {
		t.Error("it was made anew")
	}
	s.mustPush(source(t, "newer"), swapper.PushOptions{}) // it is forgotten
}

// TestAHookThatHangsRefusesThePushAtTheTimeout, wherever it is tried first.
func TestAHookThatHangsRefusesThePushAtTheTimeout(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]swapper.PushOptions{"check": {}, "schema": {SkipIntegrityCheck: true}, "dry run": {DryRun: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			defer close(release)
			s := startWith(t, "", driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
				if strings.Contains(c.GetFilename("main"), ".hotswap-") {
					<-release
				}
				return nil
			}))
			opts.Timeout = 50 * time.Millisecond // with calls flowing it may take longer
			s.refuses(opts, swapper.ErrBadDatabase, "the connect hook did not return within 2s", "--timeout")
		})
	}
}

// TestAHookThatHangsIsNotWaitedForForEver, neither in the check nor in the rehearsal.
func TestAHookThatHangsIsNotWaitedForForEver(t *testing.T) {
	t.Parallel()
	for name, hangsOn := range map[string]int64{"check": 1, "rehearsal": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var onStage atomic.Int64
			hangs, release := make(chan struct{}), make(chan struct{})
			defer close(release)
			s := startWith(t, "", driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
				if strings.Contains(c.GetFilename("main"), ".hotswap-") && onStage.Add(1) == hangsOn {
					close(hangs)
					<-release
				}
				return nil
			}))
			ctx, cancel := context.WithCancel(context.Background())
			opts := swapper.PushOptions{SkipIntegrityCheck: true, Source: "test"}
			if hangsOn == 1 {
				go func() {
					<-hangs
					cancel()
				}()
			} else {
				opts.Timeout = 50 * time.Millisecond
			}
			defer cancel()
			_, err := swapper.Push(ctx, s.db, bytes.NewReader(source(t, "new")), opts)
			if hangsOn == 1 && !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			if hangsOn == 2 && (!errors.Is(err, swapper.ErrBadDatabase) || !strings.Contains(err.Error(), "the connect hook did not return within 2s")) {
				t.Errorf("%v", err)
			}
			if got := s.stamp(); got != "live" {
				t.Error(got)
			}
		})
	}
}
