package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"hotswap/swapper"
)

// withAndWithoutBackup runs a test of both sorts of a push.
func withAndWithoutBackup(t *testing.T, test func(t *testing.T, opts swapper.PushOptions)) {
	for _, backup := range []bool{true, false} {
		t.Run(fmt.Sprint("backup=", backup), func(t *testing.T) {
			t.Parallel()
			test(t, swapper.PushOptions{Backup: backup})
		})
	}
}

// TestAPushOverARemovedFileIsRefusedWhileOthersUseIt: another process would write to it for
// ever, and what it writes would be in no file.
func TestAPushOverARemovedFileIsRefusedWhileOthersUseIt(t *testing.T) {
	t.Parallel()
	withAndWithoutBackup(t, func(t *testing.T, opts swapper.PushOptions) {
		s := start(t, t.TempDir(), "&_journal=WAL")
		s.stamp()
		other := startOther(t, "file:"+s.path)
		other.must(readStamps)
		displacements["removed"](t, s)
		says := fmt.Sprintf("is open in process %d", other.Process.Pid)
		s.refuses(opts, swapper.ErrBusy, says)
		opts.DryRun = true
		s.refuses(opts, swapper.ErrBusy, says)
		opts.DryRun = false
		other.quit()
		s.mustPush(source(t, "new"), opts)
	})
}

// TestAPushOverARemovedFileIsRefusedBesideAnotherDriver of the program, which no swap closes.
func TestAPushOverARemovedFileIsRefusedBesideAnotherDriver(t *testing.T) {
	t.Parallel()
	withAndWithoutBackup(t, func(t *testing.T, opts swapper.PushOptions) {
		s := start(t, t.TempDir(), "&_journal=WAL")
		s.stamp()
		stranger, err := sql.Open("sqlite3", s.path)
		if err != nil {
			t.Fatal(err)
		}
		defer stranger.Close()
		if err := stranger.Ping(); err != nil {
			t.Fatal(err)
		}
		displacements["removed"](t, s)
		s.refuses(opts, swapper.ErrTarget, "a connection of the program that is not the database's own has it open")
		stranger.Close()
		s.mustPush(source(t, "new"), opts)
	})
}

// TestARemovedFileThatSomebodyUnseenHasOpenIsPutBack: only the lease knows, once the
// program's connections are closed.
func TestARemovedFileThatSomebodyUnseenHasOpenIsPutBack(t *testing.T) {
	t.Parallel()
	withAndWithoutBackup(t, func(t *testing.T, opts swapper.PushOptions) {
		s := start(t, t.TempDir(), "&_journal=DELETE")
		s.exec("UPDATE items SET stamp = 'acknowledged'")
		release := inFlight(t, s.path)
		displacements["removed"](t, s)
		r, err := s.push(source(t, "new"), opts)
		if !errors.Is(err, swapper.ErrBusy) || r.Swapped || !strings.Contains(err.Error(), "may not inspect") || !strings.Contains(err.Error(), "what the removed file held is at the path again") {
			t.Errorf("%+v, %v", r, err)
		}
		if got := s.stamp(); got != "acknowledged" || s.db.Generation() != 2 {
			t.Errorf("it serves %s, in generation %d", got, s.db.Generation())
		}
		s.exec("UPDATE items SET stamp = 'served on'")
		s.onlyFiles()
		release()
		if s.mustPush(source(t, "new"), opts); s.stamp() != "new" {
			t.Error(s.stamp())
		}
	})
}

// TestAPushThatFailsAfterARemovedFileWasClosedPutsItBack: nothing could open it again.
func TestAPushThatFailsAfterARemovedFileWasClosedPutsItBack(t *testing.T) {
	t.Parallel()
	withAndWithoutBackup(t, func(t *testing.T, opts swapper.PushOptions) {
		for name, displace := range map[string]string{"WAL": "removed", "WAL, too": "removed with its log"} {
			s := start(t, t.TempDir(), "&_journal=WAL")
			s.exec("PRAGMA wal_autocheckpoint=0; UPDATE items SET stamp = 'acknowledged'")
			if err := os.Chmod(s.path, 0o640); err != nil {
				t.Fatal(err)
			}
			displacements[displace](t, s)
			if err := os.MkdirAll(s.path+"-journal/full", 0o700); err != nil {
				t.Fatal(err)
			}
			r, err := swapper.Push(t.Context(), s.db, bytes.NewReader(source(t, "new")), opts)
			if err == nil || r.Swapped || r.BackupPath != "" || !strings.Contains(err.Error(), "what the removed file held is at the path again") {
				t.Fatalf("%s: %+v, %v", name, r, err)
			}
			if err := os.RemoveAll(s.path + "-journal"); err != nil {
				t.Fatal(err)
			}
			if got := s.stamp(); got != "acknowledged" {
				t.Errorf("%s: it serves %s", name, got)
			}
			if info, err := os.Stat(s.path); err != nil || info.Mode() != 0o640 {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
			if s.mustPush(source(t, "new"), opts); s.stamp() != "new" {
				t.Errorf("%s: %s", name, s.stamp())
			}
		}
	})
}

// TestAnEndAtAnyMomentLeavesARemovedFileServed, or the new one: no call gets an error,
// wherever a push over it is cancelled.
func TestAnEndAtAnyMomentLeavesARemovedFileServed(t *testing.T) {
	t.Parallel()
	withAndWithoutBackup(t, func(t *testing.T, opts swapper.PushOptions) {
		s := start(t, t.TempDir(), "&_journal=WAL")
		s.pool.SetMaxOpenConns(1) // one that has read nothing can't begin to
		stamp, ends := s.stamp(), 0
		for n := 1; ; n += *looks {
			displacements["removed with its log"](t, s)
			next := fmt.Sprint("new ", n)
			ctx := endingAt(t, n)
			r, err := swapper.Push(ctx, s.db, bytes.NewReader(source(t, next)), opts)
			reached := ctx.looks.Load() >= int64(n)
			ctx.end()
			if r.Swapped {
				if opts.Backup && stampsIn(t, r.BackupPath) != stamp {
					t.Errorf("look %d: the backup has %s, want %s", n, stampsIn(t, r.BackupPath), stamp)
				}
				stamp = next
			}
			if err != nil && (!reached || !errors.Is(err, context.Canceled)) {
				t.Fatalf("look %d: %v", n, err)
			}
			if err != nil {
				ends++
			}
			if got := s.stamp(); got != stamp {
				t.Fatalf("look %d: it serves %s, want %s", n, got, stamp)
			}
			if !reached {
				break
			}
		}
		if ends == 0 {
			t.Error("none of the looks ended it")
		}
	})
}

// TestALiveFileThatIsRemovedDuringAPushIsSaidOnce.
func TestALiveFileThatIsRemovedDuringAPushIsSaidOnce(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	s.stamp()
	_, err := s.push(source(t, "new"), swapper.PushOptions{Validate: func(context.Context, *sql.DB) error { return os.Remove(s.path) }})
	if err == nil || strings.Count(err.Error(), "inspect the live file") != 1 {
		t.Error(err)
	}
}
