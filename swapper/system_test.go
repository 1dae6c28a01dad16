package swapper_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// again runs the test in a process of its own with the given attributes, and
// reports whether this is that process. Where they are not to be had the test is
// skipped, but not in CI.
func again(t *testing.T, attr *syscall.SysProcAttr) bool {
	t.Helper()
	if attr.Cloneflags != 0 && os.Getuid() != 0 {
		testenv.Skip(t, "must be root for this test")
	}
	return testenv.Alone(t, attr)
}

// tmpfs mounts a small file system of its own for the test, in a mount
// namespace of its own.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	return mounted(t, "tmpfs", "size="+size)
}

func mounted(t *testing.T, kind, options string) string {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "hotswap-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(kind, dir, kind, 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Unmount(dir, unix.MNT_DETACH)
		os.Remove(dir)
	})
	return dir
}

// TestAFileSystemThatDoesNotSayHowLargeItIsIsNotFull: statfs reports no blocks.
func TestAFileSystemThatDoesNotSayHowLargeItIsIsNotFull(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return
	}
	for kind, options := range map[string]string{"ramfs": "", "tmpfs": "size=0"} {
		dir := mounted(t, kind, options)
		var st unix.Statfs_t
		if err := unix.Statfs(dir, &st); err != nil || st.Blocks != 0 {
			t.Fatalf("%s has %d blocks: %v", kind, st.Blocks, err)
		}
		s := start(t, dir, "&_journal=WAL")
		for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
			s.mustPush(source(t, "new"), swapper.PushOptions{Method: method, Backup: true})
		}
		if got, _, err := s.pulled(); got != "new" || err != nil {
			t.Errorf("the copy from %s has %s, %v", kind, got, err)
		}
		s.pool.Close()
	}
}

func TestAMountedFileIsRefused(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return
	}
	dir := tmpfs(t, "8m")
	if err := os.WriteFile(filepath.Join(dir, "live.sqlite3"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	backing := filepath.Join(t.TempDir(), "backing")
	if err := os.WriteFile(backing, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(backing, filepath.Join(dir, "live.sqlite3"), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir, "")
	s.refuses(swapper.PushOptions{}, swapper.ErrTarget, "mount point", "mount its directory")
	s.pool.Close()
}

func TestADirectoryThatCannotBeWrittenToIsRefused(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return
	}
	dir := tmpfs(t, "8m")
	s := start(t, dir, "&_journal=MEMORY")
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	// From here on as nobody: root may write anywhere.
	if err := os.Chown(s.path, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	data := source(t, "new")
	if err := syscall.Setresuid(65534, 65534, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.push(data, swapper.PushOptions{}); !errors.Is(err, swapper.ErrNotPermitted) || !strings.Contains(err.Error(), "can't be written to") {
		t.Errorf("got %v", err)
	}
	_, err := swapper.Pull(t.Context(), s.db, io.Discard, swapper.PullOptions{})
	if !errors.Is(err, swapper.ErrNotPermitted) || !strings.Contains(err.Error(), "a pull first copies the database to a file beside it: give") {
		t.Errorf("a pull: %v", err)
	}
	if s.stamp() != "live" {
		t.Error(s.stamp())
	}
	s.pool.Close()
	syscall.Setresuid(0, 0, 0)
}

func info(t *testing.T, path string) os.FileInfo {
	t.Helper()
	i, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestOwnerModeAndAttributesAreKept(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		testenv.Skip(t, "must be root to give a file away")
	}
	s := start(t, t.TempDir(), "&_journal=WAL")
	if err := os.Chown(s.path, 65534, 12345); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(s.path, "user.hotswap", []byte("kept"), 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
		t.Fatal(err)
	}
	// An access ACL that lets user 4711 read: version 2, and five entries.
	acl := []byte{2, 0, 0, 0}
	for _, e := range [][4]uint16{{1, 6, 0xffff, 0xffff}, {2, 4, 4711, 0}, {4, 4, 0xffff, 0xffff}, {16, 4, 0xffff, 0xffff}, {32, 0, 0xffff, 0xffff}} {
		for _, v := range e {
			acl = append(acl, byte(v), byte(v>>8))
		}
	}
	hasACL := unix.Setxattr(s.path, "system.posix_acl_access", acl, 0) == nil
	s.mustPush(source(t, "new"), swapper.PushOptions{})
	st := info(t, s.path).Sys().(*syscall.Stat_t)
	if st.Uid != 65534 || st.Gid != 12345 || st.Mode&0o777 != 0o640 {
		t.Errorf("owner %d:%d, mode %o", st.Uid, st.Gid, st.Mode&0o777)
	}
	buf := make([]byte, 100)
	if n, err := unix.Getxattr(s.path, "user.hotswap", buf); err == nil && string(buf[:n]) != "kept" {
		t.Errorf("attribute %q", buf[:n])
	} else if err != nil && !errors.Is(err, unix.ENOTSUP) {
		t.Error(err)
	}
	if hasACL {
		n, err := unix.Getxattr(s.path, "system.posix_acl_access", buf)
		if err != nil || string(buf[:n]) != string(acl) {
			t.Errorf("ACL %x, %v; want %x", buf[:max(n, 0)], err, acl)
		}
	}
	s.exec("INSERT INTO items (stamp) VALUES ('new')")
}

// TestDescriptorsAreBackAfterManySwaps counts all that its process has, which is
// one of its own for that.
func TestDescriptorsAreBackAfterManySwaps(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{}) {
		return
	}
	s := start(t, t.TempDir(), "&_journal=WAL")
	old, err := s.pool.Prepare("SELECT count(*) FROM items")
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	sources := [][]byte{source(t, "even"), source(t, "odd")}
	s.mustPush(sources[0], swapper.PushOptions{})
	before := len(descriptors(t))
	for i := range 50 {
		s.mustPush(sources[i%2], swapper.PushOptions{})
		var n int
		if err := old.QueryRow().Scan(&n); err != nil || n != 300 {
			t.Fatal(n, err)
		}
	}
	// The fences on the replaced files are there for a moment longer; that of the
	// first one was, too.
	testenv.Eventually(t, func() error {
		if after := descriptors(t); len(after) > before {
			return fmt.Errorf("%d descriptors before 50 swaps, %d after: %v", before, len(after), after)
		}
		return nil
	})
	s.onlyFiles()
}

func descriptors(t *testing.T) (open []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		testenv.Skip(t, "no /proc here")
	}
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			open = append(open, to)
		}
	}
	return open
}

func TestAnImmutableTargetIsRefused(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		testenv.Skip(t, "must be root to mark a file")
	}
	for _, suffix := range []string{"", "~"} { // the target, and the backup before this one
		refusesImmutable(t, suffix)
	}
}

func refusesImmutable(t *testing.T, suffix string) {
	s := start(t, t.TempDir(), "&_journal=MEMORY")
	s.mustPush(source(t, "new"), swapper.PushOptions{Backup: true})
	// The program must not have the file open outside of the driver meanwhile.
	mark := func(change func(flags int) int) {
		t.Helper()
		f, err := os.Open(s.path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
		if err == nil {
			err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, change(flags))
		}
		if err != nil {
			testenv.Skip(t, "this file system has no such mark: %v", err)
		}
	}
	const immutable = 0x10 // FS_IMMUTABLE_FL
	mark(func(flags int) int { return flags | immutable })
	unmark := sync.OnceFunc(func() { mark(func(flags int) int { return flags &^ immutable }) })
	defer unmark()
	s.refuses(swapper.PushOptions{Backup: suffix != ""}, swapper.ErrNotPermitted, "immutable", "chattr -i")
	unmark()
	s.mustPush(source(t, "new"), swapper.PushOptions{Backup: true})
}
