package swapper_test

import (
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"hotswap/internal/dbpath"
	"hotswap/internal/livefile"
	"hotswap/internal/openers"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

func needsProc(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "/proc is needed")
	}
}

func TestTheJournalModeIsKnownWithoutALock(t *testing.T) {
	t.Parallel()
	needsProc(t)
	for params, want := range map[string]string{"&_journal=WAL": "wal", "&_journal=DELETE": "rollback", "&_journal=PERSIST": "rollback"} {
		s := start(t, t.TempDir(), params)
		s.exec("UPDATE items SET stamp = 'written'")
		if got := livefile.JournalMode(s.path); got != want {
			t.Errorf("%s: %q, want %q", params, got, want)
		}
		other, err := sql.Open("sqlite3", dbpath.URI(s.path, "_locking=EXCLUSIVE"))
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		if params != "&_journal=WAL" { // there the other connection could not lock it
			if _, err := other.Exec("BEGIN EXCLUSIVE"); err != nil {
				t.Fatal(err)
			}
			if got := livefile.JournalMode(s.path); got != want {
				t.Errorf("%s, locked: %q, want %q", params, got, want)
			}
		}
		if err := other.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.pool.Close(); err != nil {
			t.Fatal(err)
		}
		if got := livefile.JournalMode(s.path); got != "" {
			t.Errorf("%s: %q of a database that nobody has open", params, got)
		}
	}
}

// A process's locks on a file end when it closes any descriptor of it, so
// another process can tell whether somebody did.
func TestLookingAtADatabaseLeavesItsLocks(t *testing.T) {
	t.Parallel()
	needsProc(t)
	shell, err := exec.LookPath("sqlite3")
	if err != nil {
		testenv.Skip(t, "the sqlite3 shell is needed")
	}
	s := start(t, t.TempDir(), "&_journal=DELETE")
	report := s.mustPush(source(t, "new"), swapper.PushOptions{})
	tx, err := s.pool.Begin() // immediate: it has the write lock
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	livefile.JournalMode(s.path)
	openers.At(s.path)
	report.Unwritten(s.path)
	out, err := exec.Command(shell, s.path, "UPDATE items SET stamp = 'stolen'").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "locked") {
		t.Errorf("another process wrote through the lock: %s", out)
	}
}

func TestAStampSeesWhateverIsWrittenAfterThePush(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE", "PERSIST", "TRUNCATE"} {
		for name, write := range map[string]func(t *testing.T, s *service){
			"nothing": nil,
			"reads":   nil,
			"a write": func(t *testing.T, s *service) { s.exec("UPDATE items SET stamp = 'x' WHERE id = 1") },
			"a write and a checkpoint": func(t *testing.T, s *service) {
				s.exec("UPDATE items SET stamp = 'x'")
				s.exec("PRAGMA wal_checkpoint(TRUNCATE)")
			},
			"another file": func(t *testing.T, s *service) { s.mustPush(source(t, "new"), swapper.PushOptions{}) },
			"no file": func(t *testing.T, s *service) {
				if err := s.pool.Close(); err != nil {
					t.Fatal(err)
				}
				if err := os.Remove(s.path); err != nil {
					t.Fatal(err)
				}
			},
		} {
			t.Run(journal+"/"+name, func(t *testing.T) {
				s := start(t, t.TempDir(), "&_journal="+journal)
				report := s.mustPush(source(t, "new"), swapper.PushOptions{})
				if name == "reads" {
					s.stamp()
				}
				if write != nil {
					write(t, s)
				}
				if got := report.Unwritten(s.path); got != (write == nil) {
					t.Errorf("unwritten: %t", got)
				}
			})
		}
	}
	if (swapper.Report{}).Unwritten(filepath.Join(t.TempDir(), "x")) {
		t.Error("nothing was pushed, and it is taken for unwritten")
	}
}
