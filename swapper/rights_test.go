package swapper_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

func lookup(t *testing.T, path string) *driver.Database {
	t.Helper()
	db, ok := driver.Lookup(path)
	if !ok {
		t.Fatalf("%s is not managed", path)
	}
	return db
}

// TestAFirstPushMakesTheFileAsSQLiteWould: 0644 less the program's umask.
func TestAFirstPushMakesTheFileAsSQLiteWould(t *testing.T) {
	for _, umask := range []int{0o022, 0o077, 0o002} {
		dir := t.TempDir()
		old := syscall.Umask(umask)
		theirs, path := filepath.Join(dir, "sqlite"), filepath.Join(dir, "live.sqlite3")
		makeDatabase(t, theirs, "sqlite", 1)
		pool, err := sql.Open(driver.Name, path)
		if err != nil {
			t.Fatal(err)
		}
		s := &service{t: t, dir: dir, path: path, pool: pool, db: lookup(t, path)}
		s.mustPush(source(t, "first"), swapper.PushOptions{})
		syscall.Umask(old)
		if got, want := info(t, path).Mode(), info(t, theirs).Mode(); got != want {
			t.Errorf("umask %03o: %s, and SQLite makes %s", umask, got, want)
		}
		pool.Close()
	}
}

// whenReopened has a push whose gate is open again, for rows that were not read to
// their end, do something: the new file is ready then, and has the owner, the
// mode and the attributes that the live one had.
func (s *service) whenReopened(do func()) func(swapper.Event) {
	rows, done := s.openRows("SELECT id FROM items"), false
	return func(e swapper.Event) {
		if e.Step == swapper.StepReopened && !done {
			done = true
			do()
			rows.Close()
		}
	}
}

// TestWhatIsChangedDuringAPushIsTaken: the upload may take an hour.
func TestWhatIsChangedDuringAPushIsTaken(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		testenv.Skip(t, "must be root to give a file away")
	}
	for _, when := range []string{"upload", "wait"} {
		for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
			s := start(t, t.TempDir(), "&_journal=WAL")
			attributes := unix.Setxattr(s.path, "user.gone", []byte("x"), 0) == nil
			change := func() {
				if err := errors.Join(os.Chown(s.path, 65534, 12345), os.Chmod(s.path, 0o604)); err != nil {
					t.Error(err)
				}
				if attributes {
					if err := errors.Join(unix.Setxattr(s.path, "user.hotswap", []byte("new"), 0), unix.Removexattr(s.path, "user.gone")); err != nil {
						t.Error(err)
					}
				}
			}
			opts := swapper.PushOptions{Method: method, Backup: true}
			switch {
			case when == "upload":
				opts.Validate = func(context.Context, *sql.DB) error { change(); return nil }
			case method == swapper.MethodInPlace:
				continue // reads go on, so there is nothing to wait for
			default:
				opts.Notify = s.whenReopened(change)
			}
			s.mustPush(source(t, "new"), opts)
			for _, path := range []string{s.path, s.path + "~"} {
				st := info(t, path).Sys().(*syscall.Stat_t)
				if st.Uid != 65534 || st.Gid != 12345 || st.Mode&0o777 != 0o604 {
					t.Errorf("%s, changed in the %s: %s has owner %d:%d, mode %o", method, when, path, st.Uid, st.Gid, st.Mode&0o777)
				}
				if attributes {
					buf := make([]byte, 10)
					if n, err := unix.Getxattr(path, "user.hotswap", buf); err != nil || string(buf[:n]) != "new" {
						t.Errorf("%s, changed in the %s: %s has the attribute %q, %v", method, when, path, buf[:max(n, 0)], err)
					}
					if _, err := unix.Getxattr(path, "user.gone", buf); err == nil {
						t.Errorf("%s, changed in the %s: %s has an attribute that was removed", method, when, path)
					}
				}
			}
			s.exec("INSERT INTO items (stamp) VALUES ('new')")
		}
	}
}

// TestAHardLinkThatIsMadeDuringAPushRefusesIt: a rename would split the two names.
func TestAHardLinkThatIsMadeDuringAPushRefusesIt(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"upload", "wait"} {
		s := start(t, t.TempDir(), "&_journal=WAL")
		other := filepath.Join(s.dir, "other name")
		link := func() {
			if err := os.Link(s.path, other); err != nil {
				t.Error(err)
			}
		}
		opts := swapper.PushOptions{Method: swapper.MethodRename}
		if when == "upload" {
			opts.Validate = func(context.Context, *sql.DB) error { link(); return nil }
		} else {
			opts.Notify = s.whenReopened(link)
		}
		s.refuses(opts, swapper.ErrTarget, "2 hard links")
		if !os.SameFile(info(t, other), info(t, s.path)) {
			t.Error("the two names were split")
		}
		s.onlyFiles("other name")
	}
}

// TestAReadOnlyFileOfTheProgramsOwnIsReplacedByRename: mode 0444 is no right that
// a rename needs.
func TestAReadOnlyFileOfTheProgramsOwnIsReplacedByRename(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return
	}
	for _, journal := range []string{"DELETE", "WAL"} {
		dir := filepath.Join(tmpfs(t, "16m"), journal)
		if err := errors.Join(os.Mkdir(dir, 0o777), os.Chmod(dir, 0o777)); err != nil {
			t.Fatal(err)
		}
		data := source(t, "new")
		func() {
			if err := syscall.Setresuid(nobody, nobody, 0); err != nil {
				t.Fatal(err)
			}
			defer syscall.Setresuid(0, 0, 0)
			s := start(t, dir, "&_journal="+journal)
			s.pool.Close()
			if err := os.Chmod(s.path, 0o444); err != nil {
				t.Fatal(err)
			}
			var err error
			if s.pool, err = sql.Open(driver.Name, "file:"+s.path); err != nil {
				t.Fatal(err)
			}
			defer s.pool.Close()
			if s.stamp() != "live" {
				t.Fatal(s.stamp())
			}
			s.db = lookup(t, s.path)
			r := s.mustPush(data, swapper.PushOptions{Backup: true})
			if r.Method != swapper.MethodRename || s.stamp() != "new" {
				t.Errorf("%s: %+v, %s", journal, r, s.stamp())
			}
			for _, path := range []string{s.path, s.path + "~"} {
				if mode := info(t, path).Mode(); mode != 0o444 {
					t.Errorf("%s: %s has mode %s", journal, path, mode)
				}
			}
			s.onlyFiles("live.sqlite3~")
		}()
	}
}

// TestAProgramThatOnlyReadsIsPushedToByRename: the last of its connections leaves a -shm
// behind, which it may not remove.
func TestAProgramThatOnlyReadsIsPushedToByRename(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "live.sqlite3")
	makeDatabase(t, path, "live", 200)
	wal, err := sql.Open("sqlite3", "file:"+path+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(wal.Ping(), wal.Close()); err != nil {
		t.Fatal(err)
	}
	s := open(t, path, "mode=ro")
	for _, stamp := range []string{"a", "b", "c", "d", "e", "f"} {
		s.stamp() // has it open
		r := s.mustPush(source(t, stamp), swapper.PushOptions{Method: swapper.MethodRename, Backup: true})
		if r.Method != swapper.MethodRename || s.stamp() != stamp {
			t.Errorf("%+v, %s", r, s.stamp())
		}
		s.onlyFiles("live.sqlite3~")
	}
}

// TestANameAsLongAsSQLiteTakesCanBePushedTo: the stage must not be what it fails
// for.
func TestANameAsLongAsSQLiteTakesCanBePushedTo(t *testing.T) {
	t.Parallel()
	for _, length := range []int{190, 228, 247} {
		for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
			dir := t.TempDir()
			names := []string{strings.Repeat("n", length), strings.Repeat("n", length-1) + "o"}
			var all []*service
			for _, name := range names {
				path := filepath.Join(dir, name)
				makeDatabase(t, path, "live", 200)
				s := open(t, path, "_journal=DELETE")
				defer s.pool.Close()
				all = append(all, s)
			}
			for i, s := range all {
				s.mustPush(source(t, "new"), swapper.PushOptions{Method: method, Backup: true})
				s.mustPush(source(t, "newer"), swapper.PushOptions{Method: method, Backup: true})
				if s.stamp() != "newer" {
					t.Errorf("%d: %s", length, s.stamp())
				}
				// Another's push must not take this one's files for its own orphans.
				s.mustPush(source(t, "newest"), swapper.PushOptions{Method: method, Validate: func(ctx context.Context, db *sql.DB) error {
					all[1-i].mustPush(source(t, "between"), swapper.PushOptions{Method: method})
					return nil
				}})
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if strings.HasPrefix(e.Name(), ".") {
					t.Errorf("%d: %s is left", length, e.Name())
				}
			}
		}
	}
}

// TestADirectoryThatWasRenamedIsNoMatterOfRights: the program goes on with the files that
// it has open, and a push says what happened.
func TestADirectoryThatWasRenamedIsNoMatterOfRights(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "db")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir, "&_journal=WAL")
	s.stamp() // has its files open
	if err := os.Rename(dir, dir+"-moved"); err != nil {
		t.Fatal(err)
	}
	s.refuses(swapper.PushOptions{}, swapper.ErrTarget, "is gone", "move it back")
	if err := os.Rename(dir+"-moved", dir); err != nil {
		t.Fatal(err)
	}
	s.mustPush(source(t, "new"), swapper.PushOptions{})
}
