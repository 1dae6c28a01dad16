package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/swapper"
)

func (s *service) stage(data []byte, opts swapper.PushOptions) *swapper.Staged {
	s.t.Helper()
	staged, _, err := swapper.Stage(context.Background(), s.db, bytes.NewReader(data), opts)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(staged.Discard)
	return staged
}

// stageFile is the one file of that kind beside the live database.
func (s *service) stageFile() string {
	s.t.Helper()
	files, _ := filepath.Glob(filepath.Join(s.dir, ".*.stage"))
	if len(files) != 1 {
		s.t.Fatalf("%d staged files", len(files))
	}
	return files[0]
}

func TestWhatIsStagedGoesLiveLater(t *testing.T) {
	t.Parallel()
	for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
		t.Run(string(method), func(t *testing.T) {
			s := start(t, t.TempDir(), "&_journal=WAL")
			asked := 0
			ask := func(context.Context, *sql.DB) error { asked++; return nil }
			staged := s.stage(source(t, "new"), swapper.PushOptions{Method: method, BackupAs: swapper.BackupNumbered, Prepare: ask, Validate: ask})
			if got := s.stamp(); got != "live" || s.db.Generation() != 1 {
				t.Fatalf("staged, and the stamp is %q, the generation %d", got, s.db.Generation())
			}
			s.exec("INSERT INTO items (stamp) VALUES ('live')")
			s.mustPush(source(t, "between"), swapper.PushOptions{Method: method})
			r, err := staged.Swap(context.Background())
			if err != nil || !r.Swapped || r.Method != method || r.SHA256 == "" || r.Bytes == 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			if got := s.stamp(); got != "new" || s.db.Generation() != 3 || asked != 2 {
				t.Errorf("the stamp is %q, the generation %d; %d functions of the program's ran", got, s.db.Generation(), asked)
			}
			staged.Discard()
			if _, err := staged.Swap(context.Background()); !errors.Is(err, swapper.ErrTarget) {
				t.Errorf("swapped once more: %v", err)
			}
			s.onlyFiles("live.sqlite3.~1~")
		})
	}
}

func TestASwapThatFailsMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace, swapper.MethodAuto} {
		t.Run(string(method), func(t *testing.T) {
			s := start(t, t.TempDir(), "&_journal=WAL")
			staged := s.stage(source(t, "new"), swapper.PushOptions{Method: method, Timeout: 50 * time.Millisecond})
			for range 2 {
				tx := s.openTx("INSERT INTO items (stamp) VALUES ('live')")
				if r, err := staged.Swap(context.Background()); !errors.Is(err, swapper.ErrBusy) || r.Swapped {
					t.Fatalf("a transaction is open: %v", err)
				}
				if err := tx.Commit(); err != nil {
					t.Fatal(err)
				}
				ended, cancel := context.WithCancel(context.Background())
				cancel()
				if _, err := staged.Swap(ended); !errors.Is(err, context.Canceled) {
					t.Fatalf("its context has ended: %v", err)
				}
			}
			if _, err := staged.Swap(context.Background()); err != nil {
				t.Fatal(err)
			}
			if got := s.stamp(); got != "new" {
				t.Errorf("the stamp is %q", got)
			}
			s.onlyFiles()
		})
	}
}

func TestASwapComparesWithWhatIsLiveThen(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	_, tag := s.tag()
	plain, matched := s.stage(source(t, "new"), swapper.PushOptions{}), s.stage(source(t, "new"), swapper.PushOptions{IfMatch: tag})
	s.exec("CREATE TABLE more (x)")
	if _, err := plain.Swap(context.Background()); !errors.Is(err, swapper.ErrSchema) {
		t.Errorf("a table was made meanwhile: %v", err)
	}
	if _, err := matched.Swap(context.Background()); !errors.Is(err, swapper.ErrChanged) {
		t.Errorf("the content is another one: %v", err)
	}
	s.exec("DROP TABLE more")
	if _, err := plain.Swap(context.Background()); err != nil {
		t.Error(err)
	}
	matched.Discard()
	s.onlyFiles()
}

func TestWhatIsStagedIsRefusedIfItWasTouched(t *testing.T) {
	t.Parallel()
	for name, touch := range map[string]func(s *service, staged string) error{
		"written": func(_ *service, staged string) error {
			f, err := os.OpenFile(staged, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteAt([]byte{1}, 5000)
			return err
		},
		"linked": func(_ *service, staged string) error {
			// Elsewhere, where the test does not look for what is left.
			return os.Link(staged, filepath.Join(filepath.Dir(filepath.Dir(staged)), "linked"))
		},
		"removed": func(_ *service, staged string) error { return os.Remove(staged) },
		"exchanged": func(s *service, staged string) error {
			other := filepath.Join(s.dir, "other")
			if err := os.WriteFile(other, source(t, "other"), 0o600); err != nil {
				return err
			}
			return os.Rename(other, staged)
		},
		"journal beside it": func(_ *service, staged string) error { return os.WriteFile(staged+"-journal", []byte("hot"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, t.TempDir(), "&_journal=WAL")
			staged := s.stage(source(t, "new"), swapper.PushOptions{})
			if err := touch(s, s.stageFile()); err != nil {
				t.Fatal(err)
			}
			r, err := staged.Swap(context.Background())
			if !errors.Is(err, swapper.ErrBadDatabase) || r.Swapped || !strings.Contains(err.Error(), "the live database is unchanged") {
				t.Fatalf("%+v, %v", r, err)
			}
			if got := s.stamp(); got != "live" {
				t.Errorf("the stamp is %q", got)
			}
			s.onlyFiles()
		})
	}
}

func TestWhatIsStagedGoesWithItsPath(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	staged := s.stage(source(t, "new"), swapper.PushOptions{})
	s.pool.Close()
	if err := os.Remove(s.path); err != nil {
		t.Fatal(err)
	}
	if _, err := staged.Swap(context.Background()); !errors.Is(err, swapper.ErrTarget) {
		t.Errorf("the live file was removed: %v", err)
	}
	s.onlyFiles()
}

func TestWhatIsStagedOutlastsItsPool(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	staged := s.stage(source(t, "new"), swapper.PushOptions{})
	s.pool.Close()
	pool, err := sql.Open(driver.Name, "file:"+s.path)
	if err != nil {
		t.Fatal(err)
	}
	s.pool = pool
	if _, err := staged.Swap(context.Background()); err != nil {
		t.Fatal(err)
	}
	if got := s.stamp(); got != "new" {
		t.Errorf("the stamp is %q", got)
	}
	s.pool.Close()
	if _, ok := driver.Lookup(s.path); ok {
		t.Error("the database is managed still")
	}
}

func TestWhatIsDiscardedIsGone(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	staged := s.stage(source(t, "new"), swapper.PushOptions{})
	staged.Discard()
	staged.Discard()
	s.onlyFiles()
	if _, err := staged.Swap(context.Background()); !errors.Is(err, swapper.ErrTarget) {
		t.Errorf("swapped what was discarded: %v", err)
	}
	if _, _, err := swapper.Stage(context.Background(), s.db, bytes.NewReader(source(t, "new")[:5000]), swapper.PushOptions{}); !errors.Is(err, swapper.ErrBadDatabase) {
		t.Errorf("staged a part: %v", err)
	}
	if _, _, err := swapper.Stage(context.Background(), s.db, bytes.NewReader(source(t, "new")), swapper.PushOptions{DryRun: true}); !errors.Is(err, swapper.ErrTarget) {
		t.Errorf("staged by a dry run: %v", err)
	}
	s.onlyFiles()
}
