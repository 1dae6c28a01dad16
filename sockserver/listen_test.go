package sockserver

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

func TestSocketIsItsOwnersAloneFromTheFirstMoment(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(shortDir(t), "s")
	l, err := bindPrivate(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	assertMode(t, path, 0o600)
}

func TestSocketsAndTheirDirectoryAreMadePrivate(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o777} {
		t.Run(fmt.Sprintf("umask=%03o", umask), func(t *testing.T) {
			base := shortDir(t)
			dir := filepath.Join(base, "sockets")
			defer syscall.Umask(syscall.Umask(umask))
			l, err := listen(filepath.Join(dir, "s"), false)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			assertMode(t, l.path, 0o600)
			assertMode(t, dir, 0o700)
		})
	}
}

func TestModeOfAnExistingDirectoryIsLeftAlone(t *testing.T) {
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := listen(filepath.Join(dir, "s"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	assertMode(t, dir, 0o755)
	assertMode(t, l.path, 0o600)
}

func TestDeadSocketIsReplaced(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	makeDeadSocket(t, path)
	l, err := listen(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dial(t, path)
}

func TestSocketThatIsAnsweredIsLeftToItsOwner(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	theirs, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	_, err = listen(path, false)
	if !errors.Is(err, ErrInUse) {
		t.Fatalf("got %v, want ErrInUse", err)
	}
	if peerKnown && !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("%q does not say who answers", err)
	}
	dial(t, path)
}

func TestSecondServerIsToldWhoHasTheSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	first, err := listen(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	_, err = listen(path, false)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatalf("got %v, want ErrInUse with our pid", err)
	}
	dial(t, path)
}

func TestFileThatIsNotASocketIsNotRemoved(t *testing.T) {
	dir := shortDir(t)
	file, link, sub := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "sub")
	writeFile(t, file, "precious")
	if err := errors.Join(os.Symlink(file, link), os.Mkdir(sub, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, link, sub} {
		if _, err := listen(path, false); !errors.Is(err, ErrNotSocket) {
			t.Errorf("%s: got %v, want ErrNotSocket", path, err)
		}
		if _, err := os.Lstat(path); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path + ".lock"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the lock file stayed", path)
		}
	}
	if content, _ := os.ReadFile(file); string(content) != "precious" {
		t.Errorf("the file has %q now", content)
	}
}

func TestSocketPathMayBeAsLongAsAnAddressHolds(t *testing.T) {
	dir := shortDir(t) + "/"
	l, err := listen(dir+strings.Repeat("x", maxSocketPath-len(dir)), false)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = listen(dir+strings.Repeat("x", maxSocketPath-len(dir)+1), false)
	if !errors.Is(err, ErrSocketPathTooLong) {
		t.Fatalf("got %v, want ErrSocketPathTooLong", err)
	}
}

func TestOneOfManyServersThatStartAtOnceWins(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	for range 20 {
		makeDeadSocket(t, path)
		var winners atomic.Int32
		var group sync.WaitGroup
		var keep sync.Map
		for range 8 {
			group.Go(func() {
				l, err := listen(path, false)
				switch {
				case err == nil:
					winners.Add(1)
					keep.Store(l, nil)
				case !errors.Is(err, ErrInUse):
					t.Error(err)
				}
			})
		}
		group.Wait()
		if n := winners.Load(); n != 1 {
			t.Fatalf("%d servers won", n)
		}
		dial(t, path)
		for l := range keep.Range {
			l.(*listener).Close()
		}
	}
}

func TestCloseRemovesTheSocketOnlyWhileItIsOurs(t *testing.T) {
	dir := shortDir(t)
	path := filepath.Join(dir, "s")
	l, err := listen(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Fatalf("%v was left behind", left)
	}

	l, err = listen(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, "another's")
	l.Close()
	l.Close()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("another's file was removed: %v", err)
	}
}

func TestLeadingAtSignIsAFileName(t *testing.T) {
	t.Chdir(shortDir(t))
	l, err := listen("@s", false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := os.Lstat("@s"); err != nil {
		t.Fatal(err)
	}
	conn, err := dialSocket(t.Context(), "@s")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func makeDeadSocket(t testing.TB, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

func assertMode(t testing.TB, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != want {
		t.Errorf("%s has mode %04o, want %04o", path, got, want)
	}
}
