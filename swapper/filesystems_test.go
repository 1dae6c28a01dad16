package swapper_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// nobody has no capability.
const nobody = 65534

// asNobody runs the rest of the test as an unprivileged user.
func asNobody(t *testing.T) {
	t.Helper()
	if err := syscall.Setresuid(nobody, nobody, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Setresuid(0, 0, 0) })
}

// mount mounts by mount(8), in the test's own namespace: see tmpfs.
func mount(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
		testenv.Skip(t, "mount %s: %v: %s", strings.Join(args, " "), err, out)
	}
	at := args[len(args)-1]
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
}

// image mounts a new file system of a kind, from a file.
func image(t *testing.T, kind, size string) string {
	t.Helper()
	dir := t.TempDir()
	file, at := filepath.Join(dir, "image"), filepath.Join(dir, "mnt")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"truncate", "-s", size, file}, {"mkfs." + kind, "-q", file}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			testenv.Skip(t, "%v: %v: %s", args, err, out)
		}
	}
	mount(t, "-o", "loop", file, at)
	return at
}

// overlay mounts one as containers have it: the database is in the lower layer,
// which nobody writes to.
func overlay(t *testing.T) string {
	t.Helper()
	base := tmpfs(t, "64m")
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(base, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	makeDatabase(t, filepath.Join(base, "lower", "live.sqlite3"), "live", 200)
	at := filepath.Join(base, "merged")
	mount(t, "-t", "overlay", "overlay", "-o",
		fmt.Sprintf("lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", base, base, base), at)
	return at
}

// TestOnLocalFileSystemsTheLeaseTellsWhoHasTheFileOpen proves on each of them
// that a push gets the lease if nobody has the file open, and does not if
// somebody has, of whom nothing else tells.
func TestOnLocalFileSystemsTheLeaseTellsWhoHasTheFileOpen(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	for name, fileSystem := range map[string]func(t *testing.T) string{
		"tmpfs":   func(t *testing.T) string { return tmpfs(t, "64m") },
		"ext4":    func(t *testing.T) string { return image(t, "ext4", "64m") },
		"xfs":     func(t *testing.T) string { return image(t, "xfs", "320m") },
		"btrfs":   func(t *testing.T) string { return image(t, "btrfs", "256m") },
		"overlay": overlay,
	} {
		t.Run(name, func(t *testing.T) {
			dir := fileSystem(t)
			path := filepath.Join(dir, "live.sqlite3")
			if name != "overlay" {
				makeDatabase(t, path, "live", 200)
			}
			s := open(t, path, "_journal=DELETE")
			defer s.pool.Close()
			for _, stamp := range []string{"first", "second"} { // the first copies up, on an overlay
				if r := s.mustPush(source(t, stamp), swapper.PushOptions{Backup: true}); r.Method != swapper.MethodRename || s.stamp() != stamp {
					t.Errorf("with nobody there: %+v", r)
				}
			}
			release := inFlight(t, path)
			r := s.mustPush(source(t, "third"), swapper.PushOptions{})
			if r.Method != swapper.MethodInPlace || !strings.Contains(r.InPlaceBecause, "may not inspect") || s.stamp() != "third" {
				t.Errorf("with the file open, and nobody to be seen: %+v", r)
			}
			release()
			o := startOther(t, "file:"+path)
			o.must("SELECT 1")
			r = s.mustPush(source(t, "fourth"), swapper.PushOptions{})
			if r.Method != swapper.MethodInPlace || !strings.Contains(r.InPlaceBecause, strconv.Itoa(o.Process.Pid)) || o.must(readStamps) != "fourth" {
				t.Errorf("with another process there: %+v", r)
			}
			o.quit()
			if r := s.mustPush(source(t, "last"), swapper.PushOptions{}); r.Method != swapper.MethodRename || s.stamp() != "last" {
				t.Errorf("with nobody there any more: %+v", r)
			}
		})
	}
}

// inFlight has a file open that is in no process's table: it has been sent to a
// socket that nobody receives from. In a rollback journal mode no idle
// connection has a lock, which the closing of its descriptor would drop.
func inFlight(t *testing.T, path string) (release func()) {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Sendmsg(ends[0], []byte{0}, unix.UnixRights(int(f.Fd())), nil, 0); err != nil {
		t.Fatal(err)
	}
	return func() {
		unix.Close(ends[0])
		unix.Close(ends[1])
	}
}

// open opens a pool on a database that is there.
func open(t *testing.T, path, params string) *service {
	t.Helper()
	s := &service{t: t, dir: filepath.Dir(path), path: path}
	var err error
	if s.pool, err = sql.Open(driver.Name, "file:"+path+"?"+params); err != nil {
		t.Fatal(err)
	}
	if err := s.pool.Ping(); err != nil {
		t.Fatal(err)
	}
	s.db, _ = driver.Lookup(path)
	return s
}

func TestAReadOnlyMountIsRefused(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return
	}
	dir := tmpfs(t, "8m")
	path := filepath.Join(dir, "live.sqlite3")
	makeDatabase(t, path, "live", 200)
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	s := open(t, path, "")
	defer s.pool.Close()
	for _, method := range []swapper.Method{swapper.MethodAuto, swapper.MethodRename, swapper.MethodInPlace} {
		s.refuses(swapper.PushOptions{Method: method}, swapper.ErrNotPermitted, dir, "read-only file system", "remount")
	}
	s.onlyFiles()
}

// TestAQuotaIsNoticedBeforeTheLiveDatabaseIsTouched: the file system has room, of
// which this subvolume may not have more.
func TestAQuotaIsNoticedBeforeTheLiveDatabaseIsTouched(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	dir := image(t, "btrfs", "512m")
	for _, args := range [][]string{{"quota", "enable", dir}, {"qgroup", "limit", "24M", dir}} {
		if out, err := exec.Command("btrfs", args...).CombinedOutput(); err != nil {
			testenv.Skip(t, "btrfs %v: %v: %s", args, err, out)
		}
	}
	large, fitting := sourceWith(t, "new", 40<<20), sourceWith(t, "new", 14<<20)
	s := start(t, dir, "&_journal=WAL")
	before := digest(t, s.pool)
	for name, c := range map[string]struct {
		data []byte
		opts swapper.PushOptions
	}{
		"announced": {large, swapper.PushOptions{Size: int64(len(large))}},
		"a stream":  {large, swapper.PushOptions{}},
		// The stage is within it, what goes into the WAL is not.
		"in place": {fitting, swapper.PushOptions{Method: swapper.MethodInPlace}},
	} {
		r, err := s.push(c.data, c.opts)
		if !errors.Is(err, swapper.ErrNoSpace) || r.Swapped || !strings.Contains(err.Error(), "unchanged") || !strings.Contains(err.Error(), "quota") {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		t.Logf("%s: %v", name, err)
		s.exec("INSERT INTO items (stamp) VALUES ('live')")
		s.exec("DELETE FROM items WHERE filler IS NULL")
		if digest(t, s.pool) != before {
			t.Errorf("%s: the live database changed", name)
		}
		s.onlyFiles()
	}
	if r := s.mustPush(fitting, swapper.PushOptions{}); r.Method != swapper.MethodRename || s.stamp() != "new" {
		t.Errorf("%+v", r)
	}
	s.pool.Close()
}
