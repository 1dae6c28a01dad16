package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/internal/openers"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// refuses pushes a good source and demands that it is refused for the reason,
// with the live database and the directory as they were.
// It returns the error.
func (s *service) refuses(opts swapper.PushOptions, kind error, says ...string) error {
	s.t.Helper()
	before, generation := digest(s.t, s.pool), s.db.Generation()
	r, err := s.push(source(s.t, "new"), opts)
	if err == nil || kind != nil && !errors.Is(err, kind) {
		s.t.Fatalf("got %v, want %v", err, kind)
	}
	for _, text := range append(says, s.path, "the live database is unchanged") {
		if !strings.Contains(err.Error(), text) {
			s.t.Errorf("the message does not say %q: %v", text, err)
		}
	}
	if r.Swapped || digest(s.t, s.pool) != before || s.db.Generation() != generation {
		s.t.Error("the live database changed")
	}
	s.t.Log(err)
	return err
}

func TestOpenRowsThatNeverEndRefuseAPushByName(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	rows := s.openRows("SELECT id FROM items -- leaked")
	opts := swapper.PushOptions{Timeout: 50 * time.Millisecond, Method: swapper.MethodRename}
	s.refuses(opts, swapper.ErrBusy, "open Rows", "SELECT id FROM items -- leaked", "--timeout", "--force")
	var held *driver.HeldError
	if _, err := s.push(source(t, "new"), opts); !errors.As(err, &held) || held.Holders[0].Kind != driver.HoldRows {
		t.Errorf("no *driver.HeldError with the holder in %v", err)
	}
	s.onlyFiles()
	rows.Close()
	s.mustPush(source(t, "new"), opts)
	if s.stamp() != "new" {
		t.Error("not swapped once the rows were closed")
	}
}

func TestAWriteTransactionThatNeverEndsRefusesAPushByName(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	tx := s.openTx("DELETE FROM items WHERE id = 1 -- leaked")
	for _, method := range []swapper.Method{swapper.MethodAuto, swapper.MethodInPlace} {
		_, err := s.push(source(t, "new"), swapper.PushOptions{Timeout: 50 * time.Millisecond, Method: method})
		for _, says := range []string{"an open transaction", "-- leaked", "--timeout", "--force", "the live database is unchanged"} {
			if !errors.Is(err, swapper.ErrBusy) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: it does not say %q: %v", method, says, err)
			}
		}
	}
	// Which is true: it helps.
	s.mustPush(source(t, "new"), swapper.PushOptions{Timeout: 50 * time.Millisecond, Force: true})
	if _, err := tx.Exec("SELECT 1"); !errors.Is(err, driver.ErrForced) {
		t.Errorf("its owner got %v", err)
	}
}

func TestAForcedPushEndsWhatIsHeldAndTellsItsOwner(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	rows := s.openRows("SELECT id FROM items")
	tx := s.openTx("INSERT INTO items (stamp) VALUES ('half')")
	r := s.mustPush(source(t, "new"), swapper.PushOptions{Timeout: 30 * time.Millisecond, Force: true, Backup: true})
	if len(r.Holders) != 2 {
		t.Errorf("the report names the holders %v", r.Holders)
	}
	for rows.Next() {
	}
	if !errors.Is(rows.Err(), driver.ErrForced) {
		t.Errorf("the rows ended with %v", rows.Err())
	}
	if _, err := tx.Exec("INSERT INTO items (stamp) VALUES ('other half')"); !errors.Is(err, driver.ErrForced) {
		t.Errorf("a call of the lost transaction: %v", err)
	}
	if err := tx.Commit(); !errors.Is(err, driver.ErrForced) {
		t.Errorf("its commit: %v", err)
	}
	if s.stamp() != "new" {
		t.Errorf("half a transaction is in the new database: %s", s.stamp())
	}
	old, _ := sql.Open("sqlite3", r.BackupPath)
	defer old.Close()
	var n int
	if err := old.QueryRow("SELECT count(*) FROM items WHERE stamp = 'half'").Scan(&n); err != nil || n != 0 {
		t.Errorf("half a transaction is in the old database: %d, %v", n, err)
	}
}

func TestASecondPushIsRefusedBeforeItsUpload(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "")
	r, w := io.Pipe()
	defer w.Close()
	done := make(chan error)
	go func() {
		_, err := swapper.Push(context.Background(), s.db, r, swapper.PushOptions{Source: "the slow one"})
		done <- err
	}()
	data := source(t, "new")
	w.Write(data[:4096]) // returns once the first push reads
	_, err := swapper.Push(context.Background(), s.db, failingReader{errors.New("read")}, swapper.PushOptions{})
	if !errors.Is(err, swapper.ErrBusy) || !strings.Contains(err.Error(), "the slow one") {
		t.Errorf("got %v", err)
	}
	w.Write(data[4096:])
	w.Close()
	if err := <-done; err != nil || s.stamp() != "new" {
		t.Errorf("the first push: %v, stamp %s", err, s.stamp())
	}
}

func TestAHardLinkedTargetIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "")
	if err := os.Link(s.path, filepath.Join(s.dir, "other name")); err != nil {
		t.Fatal(err)
	}
	s.refuses(swapper.PushOptions{}, swapper.ErrTarget, "2 hard links", "in place SQLite would keep its journal beside this one alone", "find ")
}

func TestAFileThatTheProgramItselfHasOpenIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	plain, err := sql.Open("sqlite3", s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	plain.SetMaxOpenConns(1)
	if _, err := plain.Exec("PRAGMA user_version"); err != nil {
		t.Fatal(err)
	}
	s.refuses(swapper.PushOptions{Method: swapper.MethodRename}, swapper.ErrBusy, "the program itself still has the live file open")
	s.onlyFiles()
	// And its locks were not dropped by our looking: it still reads and writes.
	if _, err := plain.Exec("INSERT INTO items (stamp) VALUES ('live')"); err != nil {
		t.Error(err)
	}
	plain.Close()
	s.mustPush(source(t, "new"), swapper.PushOptions{})
}

func TestAFileThatAnotherProcessHasOpenIsRefusedWithItsPid(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	held, err := os.Open(s.path) // before the pool's next use of it: see below
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cat")
	cmd.ExtraFiles = []*os.File{held}
	other := testenv.Start(t, cmd)
	held.Close()
	s.refuses(swapper.PushOptions{Method: swapper.MethodRename}, swapper.ErrBusy, "process "+strconv.Itoa(other.Process.Pid)+" (cat)")
	other.End()
	s.mustPush(source(t, "new"), swapper.PushOptions{})
}

func TestADatabaseThatDoesNotOpenAnyMoreIsRefusedBeforeCallsWait(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	s.refuses(swapper.PushOptions{
		Notify: func(e swapper.Event) {
			if e.Step == swapper.StepGateClosed {
				t.Error("the gate was closed")
			}
		},
		// Spoils the stage after it has been checked, as a failing disk might.
		Validate: func(ctx context.Context, db *sql.DB) error {
			var seq int
			var name, path string
			if err := db.QueryRowContext(ctx, "PRAGMA database_list").Scan(&seq, &name, &path); err != nil {
				return err
			}
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteAt([]byte("spoiled"), 0)
			return errors.Join(err, f.Close())
		},
	}, nil, "open the new database as the program will", "not a database")
	s.onlyFiles()
	s.mustPush(source(t, "new"), swapper.PushOptions{})
}

func TestASwapWhoseDatabaseCantBeReadIsUndone(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	// Steps are told while the push goes on, so it is kept where the stage is
	// ready: by rows.
	rows := s.openRows("SELECT id FROM items")
	spoilt := 0
	s.refuses(swapper.PushOptions{
		// Cuts the stage after it has been checked, as a failing disk might.
		Notify: func(e swapper.Event) {
			if e.Step != swapper.StepReopened || spoilt > 0 {
				return
			}
			defer rows.Close()
			stages, err := filepath.Glob(filepath.Join(filepath.Dir(s.path), ".*.undo-*"))
			if err != nil || len(stages) != 1 {
				t.Errorf("stages %v, %v", stages, err)
				return
			}
			spoilt++
			if err := os.Truncate(stages[0], 50); err != nil {
				t.Error(err)
			}
		},
	}, nil, "read the new database in its place", "EOF")
	if spoilt != 1 {
		t.Errorf("spoilt %d times", spoilt)
	}
	s.onlyFiles()
	s.exec("INSERT INTO items (stamp) VALUES ('live')")
	s.mustPush(source(t, "new"), swapper.PushOptions{})
	if s.stamp() != "new" {
		t.Error("a push after the undone one did not swap")
	}
}

func TestACancelledPushLeavesCallsFlowing(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	s.openRows("SELECT id FROM items")
	ctx, cancel := context.WithCancel(context.Background())
	_, err := swapper.Push(ctx, s.db, bytes.NewReader(source(t, "new")), swapper.PushOptions{
		Notify: func(e swapper.Event) {
			if e.Step == swapper.StepReopened {
				cancel()
			}
		},
	})
	if !errors.Is(err, context.Canceled) || s.stamp() != "live" {
		t.Errorf("got %v, stamp %s", err, s.stamp())
	}
	s.onlyFiles()
}

func TestABackupDoesNotReplaceWhatIsNoFile(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	for says, put := range map[string]func(path string) error{
		"a directory":     func(path string) error { return os.Mkdir(path, 0o700) },
		"a symbolic link": func(path string) error { return os.Symlink("elsewhere", path) },
	} {
		if err := put(s.path + "~"); err != nil {
			t.Fatal(err)
		}
		s.refuses(swapper.PushOptions{Backup: true}, swapper.ErrTarget, "where the backup goes, is "+says)
		os.Remove(s.path + "~")
	}
}

func TestAPathWithALineBreakIsShownOnOneLine(t *testing.T) {
	t.Parallel()
	const path = "/dir\n1/live\x1b.db"
	cause := &fs.PathError{Op: "open", Path: path + "-wal", Err: fs.ErrNotExist}
	e := &swapper.Error{Op: "push to", Path: path, Err: fmt.Errorf("look at %s: %w", path, cause)}
	if want := `push to /dir\n1/live\x1b.db: look at /dir\n1/live\x1b.db: open /dir\n1/live\x1b.db-wal: file does not exist`; e.Error() != want {
		t.Errorf("got %q, want %q", e.Error(), want)
	}
	if text := (openers.Process{PID: 1, Command: "x\ny"}).String(); text != `process 1 (x\ny)` {
		t.Errorf("got %q", text)
	}
}
