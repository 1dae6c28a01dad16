package swapper_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/swapper"
)

// within fails if fn hangs: nothing of it can be cancelled. What hangs in open(2)
// is let go by one who opens the other end.
func within(t *testing.T, fifo string, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); fn() }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("it hangs on a FIFO")
		if fd, err := unix.Open(fifo, unix.O_RDWR|unix.O_NONBLOCK, 0); err == nil {
			defer unix.Close(fd)
		}
		<-done
	}
}

// TestWhatIsNoOrphanUnderTheNameOfOneIsLeftAlone: names can be given by whoever
// may write to the directory.
func TestWhatIsNoOrphanUnderTheNameOfOneIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	orphan := func(id, kind string) string { return filepath.Join(s.dir, ".live.sqlite3.hotswap-"+id+"."+kind) }
	fifo, link, directory := orphan("AAAAAAAAAAAA", "stage"), orphan("BBBBBBBBBBBB", "pull"), orphan("CCCCCCCCCCCC", "undo-1-2")
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	for _, err := range []error{
		unix.Mkfifo(fifo, 0o600), os.WriteFile(elsewhere, []byte("kept"), 0o600), os.Symlink(elsewhere, link), os.Mkdir(directory, 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	within(t, fifo, func() {
		if _, err := swapper.RemoveOrphans(s.path); err != nil {
			t.Error(err)
		}
		s.mustPush(source(t, "new"), swapper.PushOptions{})
	})
	s.onlyFiles(filepath.Base(fifo), filepath.Base(link), filepath.Base(directory))
	if data, err := os.ReadFile(elsewhere); err != nil || string(data) != "kept" {
		t.Errorf("the file that a symlink leads to: %q, %v", data, err)
	}
}

// TestLocksOfADatabaseWithAnOrphansNameAreNotDropped: closing any descriptor of a
// file drops the locks that the process has on it.
func TestLocksOfADatabaseWithAnOrphansNameAreNotDropped(t *testing.T) {
	t.Parallel()
	for _, name := range []string{".live.sqlite3.hotswap-AAAAAAAAAAAA.stage", ".live.sqlite3.hotswap-AAAAAAAAAAAA.undo-1-2"} {
		for _, linked := range []bool{true, false} {
			s := start(t, t.TempDir(), "&_journal=WAL")
			orphan := filepath.Join(s.dir, name)
			path := orphan
			if linked {
				path = filepath.Join(s.dir, "other.sqlite3")
			}
			makeDatabase(t, path, "other", 10)
			if linked {
				if err := os.Link(path, orphan); err != nil {
					t.Fatal(err)
				}
			}
			o, err := sql.Open("sqlite3", path+"?_txlock=immediate")
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			tx, err := o.Begin()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := swapper.RemoveOrphans(s.path); err != nil {
				t.Error(err)
			}
			another := startOther(t, "file:"+path+"?_busy_timeout=0")
			if answer := another.run("INSERT INTO items (stamp) VALUES ('second')"); !strings.Contains(answer, "locked") {
				t.Errorf("%s, a hard link %t: a second writer was told %q", name, linked, answer)
			}
			another.quit()
			if err := tx.Commit(); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(orphan); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestASidecarThatIsNoFileRefusesAPush: SQLite would follow a link, or wait for
// whoever has the other end of a FIFO.
func TestASidecarThatIsNoFileRefusesAPush(t *testing.T) {
	t.Parallel()
	for says, put := range map[string]func(string) error{
		"a pipe": func(name string) error { return unix.Mkfifo(name, 0o600) },
		"a symbolic link": func(name string) error {
			target := filepath.Join(filepath.Dir(name), "fifo")
			return errors.Join(unix.Mkfifo(target, 0o600), os.Symlink(target, name))
		},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "live.sqlite3")
		pool, err := sql.Open("sqlite3-hotswap", path)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		s := &service{t: t, dir: dir, path: path, pool: pool}
		s.db = lookup(t, path)
		name := path + "-journal"
		if err := put(name); err != nil {
			t.Fatal(err)
		}
		within(t, name, func() {
			if _, err := s.push(source(t, "new"), swapper.PushOptions{}); !errors.Is(err, swapper.ErrTarget) || !strings.Contains(err.Error(), "is not a regular file (it is "+says) {
				t.Errorf("%s: %v", says, err)
			}
		})
		if _, err := os.Lstat(name); err != nil {
			t.Error(err)
		}
	}
}
