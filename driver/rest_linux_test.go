package driver_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// amongMany runs the test in a process that has many databases, so that those rest which
// nobody uses, and in a mount namespace of its own if it may.
func amongMany(t *testing.T) bool {
	t.Helper()
	t.Parallel()
	attr := &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		attr.Cloneflags = syscall.CLONE_NEWNS
	}
	if !testenv.Alone(t, attr) {
		return false
	}
	if os.Geteuid() == 0 {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	for i := range driver.FewDatabases {
		_, release, err := driver.Manage(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(release)
	}
	return true
}

// startResting has a database at live/1.db, and another beside it, at next/1.db.
func startResting(t *testing.T, dir, name string) (pool *sql.DB, d *driver.Database) {
	t.Helper()
	for _, stamp := range []string{"live", "next"} {
		if err := os.MkdirAll(filepath.Join(dir, stamp), 0o700); err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite3", filepath.Join(dir, stamp, "1.db"))
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, db, "CREATE TABLE t (stamp TEXT); INSERT INTO t VALUES ('"+stamp+"')")
		db.Close()
	}
	if err := os.Symlink("live", filepath.Join(dir, "current")); err != nil {
		t.Fatal(err)
	}
	pool, err := sql.Open(driver.Name, "file:"+filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	if got := stampNow(t, pool); got != "live" {
		t.Fatal(got)
	}
	d, _ = driver.Lookup(filepath.Join(dir, name))
	return pool, d
}

func stampNow(t *testing.T, pool *sql.DB) (stamp string) {
	t.Helper()
	if err := pool.QueryRow("SELECT stamp FROM t").Scan(&stamp); err != nil {
		t.Fatal(err)
	}
	return stamp
}

func awaitRest(t *testing.T, d *driver.Database) {
	t.Helper()
	testenv.Until(t, "it rests", func() bool { return driver.Rests(d) })
}

// TestAReplacedFileIsNoticedWhileItsDatabaseRests, whatever replaces it, within a
// moment: the next look of itself would be a minute later.
func TestAReplacedFileIsNoticedWhileItsDatabaseRests(t *testing.T) {
	if !amongMany(t) {
		return
	}
	for how, replace := range map[string]func(dir string) error{
		"mv": func(dir string) error { return os.Rename(dir+"/next/1.db", dir+"/live/1.db") },
		"a directory renamed": func(dir string) error {
			if err := os.Rename(dir+"/live", dir+"/old"); err != nil {
				return err
			}
			return os.Rename(dir+"/next", dir+"/live")
		},
		"a symlink switched": func(dir string) error {
			if err := os.Symlink("next", dir+"/to"); err != nil {
				return err
			}
			return os.Rename(dir+"/to", dir+"/current")
		},
		"a mount": func(dir string) error {
			if os.Geteuid() != 0 {
				testenv.Skip(t, "a mount takes root")
			}
			return unix.Mount(dir+"/next/1.db", dir+"/live/1.db", "", unix.MS_BIND, "")
		},
	} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			_, d := startResting(t, dir, map[bool]string{true: "current/1.db", false: "live/1.db"}[how == "a symlink switched"])
			awaitRest(t, d)
			began := time.Now()
			if err := replace(dir); err != nil {
				t.Fatal(err)
			}
			testenv.Until(t, "it is noticed", func() bool { return d.Generation() == 2 })
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			if how == "a mount" {
				unix.Unmount(dir+"/live/1.db", unix.MNT_DETACH)
			}
		})
	}
}

// TestAFileSystemThatOthersMayChangeIsLookedAtAllTheTime: an overlay's layers, say.
func TestAFileSystemThatOthersMayChangeIsLookedAtAllTheTime(t *testing.T) {
	if os.Geteuid() != 0 {
		testenv.Skip(t, "a mount takes root")
	}
	if !amongMany(t) {
		return
	}
	dir := t.TempDir()
	for _, layer := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(dir, layer), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	merged := dir + "/merged"
	if err := unix.Mount("overlay", merged, "overlay", 0, "lowerdir="+dir+"/lower,upperdir="+dir+"/upper,workdir="+dir+"/work"); err != nil {
		testenv.Skip(t, "no overlay: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(merged, unix.MNT_DETACH) })
	_, d := startResting(t, merged, "live/1.db")
	ticks := driver.Ticks(d)
	testenv.Until(t, "it is looked at again and again", func() bool { return driver.Ticks(d) > ticks+3 })
	if driver.Rests(d) {
		t.Error("it rests")
	}
	if err := os.Rename(merged+"/next/1.db", merged+"/live/1.db"); err != nil {
		t.Fatal(err)
	}
	testenv.Until(t, "a replaced file is noticed", func() bool { return d.Generation() == 2 })
}

// TestTheFirstUseAfterARestSeesTheReplacedFileAtOnce, and ends the rest; so does a
// connection that is opened.
func TestTheFirstUseAfterARestSeesTheReplacedFileAtOnce(t *testing.T) {
	if !amongMany(t) {
		return
	}
	dir := t.TempDir()
	pool, d := startResting(t, dir, "live/1.db")
	awaitRest(t, d)
	if got := stampNow(t, pool); got != "live" || driver.Rests(d) {
		t.Errorf("read %q; it rests: %t", got, driver.Rests(d))
	}
	awaitRest(t, d)
	pinned := connect(t, pool)
	if driver.Rests(d) {
		t.Error("it rests with a connection that was just taken from the pool")
	}
	awaitRest(t, d)
	connect(t, pool)
	if driver.Rests(d) {
		t.Error("it rests with a connection that was just opened")
	}
	pinned.Close()
	awaitRest(t, d)
	driver.DeafenPath(d)
	if err := os.Rename(dir+"/next/1.db", dir+"/live/1.db"); err != nil {
		t.Fatal(err)
	}
	if got := stampNow(t, pool); got != "next" {
		t.Errorf("read %q", got)
	}
}

// TestWhatIsInUseDoesNotRest: who looks for what holds it has ticks to count from.
func TestWhatIsInUseDoesNotRest(t *testing.T) {
	if !amongMany(t) {
		return
	}
	pool, d := startResting(t, t.TempDir(), "live/1.db")
	rows, err := pool.Query("SELECT * FROM t")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	ticks := driver.Ticks(d)
	testenv.Until(t, "it is looked at again and again", func() bool { return driver.Ticks(d) > ticks+3 })
	if driver.Rests(d) {
		t.Error("it rests with open Rows")
	}
	if rows.Close(); rows.Err() != nil {
		t.Error(rows.Err())
	}
	awaitRest(t, d)
}

// TestAPoolWithAnotherNameIsHeeded: another symlink leads to the database then.
func TestAPoolWithAnotherNameIsHeeded(t *testing.T) {
	if !amongMany(t) {
		return
	}
	dir := t.TempDir()
	first, d := startResting(t, dir, "live/1.db")
	awaitRest(t, d)
	second, err := sql.Open(driver.Name, dir+"/current/1.db")
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	first.Close()
	if got := stampNow(t, second); got != "live" {
		t.Fatal(got)
	}
	awaitRest(t, d)
	began := time.Now()
	if err := os.Symlink("next", dir+"/to"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir+"/to", dir+"/current"); err != nil {
		t.Fatal(err)
	}
	testenv.Until(t, "it is noticed", func() bool { return d.Generation() == 2 })
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestFewDatabasesDoNotRest, and the watches end with the last of many.
func TestFewDatabasesDoNotRest(t *testing.T) {
	t.Parallel()
	if !testenv.Alone(t, nil) {
		return
	}
	watches := func() (n int) {
		fds, err := filepath.Glob("/proc/self/fd/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			if to, _ := os.Readlink(fd); strings.Contains(to, "inotify") || strings.HasSuffix(to, "/mountinfo") {
				n++
			}
		}
		return n
	}
	pool, d := startResting(t, t.TempDir(), "live/1.db")
	ticks := driver.Ticks(d)
	testenv.Until(t, "it is looked at again and again", func() bool { return driver.Ticks(d) > ticks+3 })
	if driver.Rests(d) || watches() > 0 {
		t.Errorf("it rests: %t, with %d descriptors", driver.Rests(d), watches())
	}
	dir := t.TempDir()
	for i := range driver.FewDatabases {
		_, release, err := driver.Manage(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		defer release()
	}
	awaitRest(t, d)
	if n := watches(); n != 2 {
		t.Errorf("%d descriptors", n)
	}
	pool.Close()
	if n := watches(); n > 0 {
		t.Errorf("%d descriptors are left", n)
	}
	pool, d = startResting(t, t.TempDir(), "live/1.db")
	awaitRest(t, d)
	pool.SetMaxIdleConns(-1)
	driver.Tick(d)
	if n := watches(); n > 0 {
		t.Errorf("%d descriptors are left without a connection", n)
	}
}
