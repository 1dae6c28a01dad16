package swapper_test

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"hotswap/internal/testenv"
	"hotswap/swapper"
)

var large = flag.Int("large", 32, "how large the database is, in megabytes, whose push runs into a full disk")

// hog takes the space of dir's file system but for left bytes, in a process of
// its own.
func hog(t *testing.T, dir string, left int64) {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Error(err)
	}
	size := int64(st.Bavail)*st.Bsize - left
	if out, err := exec.Command("fallocate", "-l", fmt.Sprint(size), filepath.Join(dir, "hog")).CombinedOutput(); err != nil {
		t.Errorf("fallocate: %v: %s", err, out)
	}
}

// TestADiskThatFillsUpWhileTheContentIsWrittenLeavesTheOldOne has another process
// take the space that there was when the push began. It is noticed between two
// steps of the copy; of a small file system one step takes more than what is
// left, and SQLite notices.
func TestADiskThatFillsUpWhileTheContentIsWrittenLeavesTheOldOne(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return
	}
	if _, err := exec.LookPath("fallocate"); err != nil {
		testenv.Skip(t, "fallocate must be installed")
	}
	for _, c := range []struct {
		where      string
		size, left int64
		says       string
	}{
		{"between two steps", int64(*large) << 20, int64(*large) << 19, "the disk is filling up"},
		{"in a step", 7 << 20, 6 << 20, "database or disk is full"}, // the second of two
	} {
		data := sourceWith(t, "new", int(c.size))
		for _, mode := range []string{"WAL", "DELETE"} {
			t.Run(c.where+"/"+mode, func(t *testing.T) {
				dir := tmpfs(t, fmt.Sprint(c.size*7/2))
				s := start(t, dir, "&_journal="+mode)
				defer s.pool.Close()
				before := digest(t, s.pool)
				other := startOther(t, "file:"+s.path)
				// Until the disk is full the other process keeps the push from its lock.
				other.must("BEGIN IMMEDIATE")
				var once sync.Once
				r, err := s.push(data, swapper.PushOptions{Quick: true, Notify: func(e swapper.Event) {
					if e.Step == swapper.StepWritesWait || e.Step == swapper.StepClosed {
						once.Do(func() {
							hog(t, dir, c.left)
							other.must("COMMIT")
						})
					}
				}})
				if !errors.Is(err, swapper.ErrNoSpace) || r.Swapped || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("%+v, %v", r, err)
				}
				t.Log(err)
				// What the copy took is free again, and all goes on.
				s.exec("INSERT INTO items (stamp, filler) VALUES ('live', zeroblob(100000))")
				s.exec("DELETE FROM items WHERE length(filler) = 100000")
				if digest(t, s.pool) != before || other.must(readStamps) != "live" {
					t.Error("the live database changed")
				}
				if err := os.Remove(filepath.Join(dir, "hog")); err != nil {
					t.Error(err)
				}
				s.onlyFiles()
				s.mustPush(data, swapper.PushOptions{Quick: true})
				if s.stamp() != "new" || other.must(readStamps) != "new" || other.must("PRAGMA integrity_check") != "ok" {
					t.Error("a push with the space given back did not replace the content")
				}
				other.quit()
			})
		}
	}
}

func TestAFullDiskRefusesThePushAndLeavesRoomForTheLiveDatabase(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return
	}
	s := start(t, tmpfs(t, "1m"), "&_journal=WAL")
	big := filepath.Join(t.TempDir(), "big.sqlite3")
	makeDatabase(t, big, "new", 3000)
	data, err := os.ReadFile(big)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{0, int64(len(data))} {
		r, err := s.push(data, swapper.PushOptions{Size: size})
		if !errors.Is(err, swapper.ErrNoSpace) || r.Swapped {
			t.Errorf("size %d announced: %v", size, err)
		}
		for _, says := range []string{" KiB free; ", "written beside the live one: make room there"} {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("size %d announced: it does not say %q: %v", size, says, err)
			}
		}
		s.exec("INSERT INTO items (stamp, filler) VALUES ('live', zeroblob(10000))")
	}
	if s.stamp() != "live" {
		t.Error(s.stamp())
	}
	s.onlyFiles()

	// A pull to another disk needs room on this one, too, and SQLite does not.
	hog(t, s.dir, 100<<10)
	_, err = swapper.Pull(t.Context(), s.db, io.Discard, swapper.PullOptions{})
	if !errors.Is(err, swapper.ErrNoSpace) || !strings.Contains(err.Error(), `snapshot on the database's own disk: make room there and try again, or have SQLite copy it to another disk: sqlite3 DB ".backup`) {
		t.Error(err)
	}
	s.pool.Close()
}

// TestAPushInPlaceNeedsItsSpaceTwice: what it will write beside the stage is
// asked for before the first byte is received.
func TestAPushInPlaceNeedsItsSpaceTwice(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return
	}
	s := start(t, tmpfs(t, "4m"), "&_journal=WAL")
	data := sourceWith(t, "new", 2<<20)
	read := 0
	src := readerFunc(func(p []byte) (int, error) { read++; return 0, io.ErrUnexpectedEOF })
	opts := swapper.PushOptions{Method: swapper.MethodInPlace, Size: int64(len(data))}
	if _, err := swapper.Push(t.Context(), s.db, src, opts); !errors.Is(err, swapper.ErrNoSpace) || !strings.Contains(err.Error(), "by rename a push takes half as much") || read > 0 {
		t.Errorf("in place: %v, after %d reads", err, read)
	}
	opts.Method = swapper.MethodRename
	s.mustPush(data, opts)
	if s.stamp() != "new" {
		t.Error(s.stamp())
	}
	s.onlyFiles()
	s.pool.Close()
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestAFullDiskOfACopyIsNotTakenForTheDatabasesOwn: it is the other one that needs room.
func TestAFullDiskOfACopyIsNotTakenForTheDatabasesOwn(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "")
	_, err := swapper.Pull(t.Context(), s.db, fullDisk{}, swapper.PullOptions{})
	if !errors.Is(err, swapper.ErrNoSpace) || !strings.Contains(err.Error(), "make room where the copy goes") {
		t.Errorf("got %v", err)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// TestWhatIsStagedWaitsUntilThereIsRoom: SQLite makes files beside it when it is tried.
func TestWhatIsStagedWaitsUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return
	}
	s := start(t, tmpfs(t, "2m"), "&_journal=WAL")
	s.exec("INSERT INTO items (stamp) VALUES ('live')")
	staged := s.stage(source(t, "new"), swapper.PushOptions{})
	hog(t, s.dir, 0)
	if r, err := staged.Swap(t.Context()); !errors.Is(err, swapper.ErrNoSpace) || r.Swapped || !strings.HasSuffix(err.Error(), "make room on the disk and try again") {
		t.Errorf("%+v, %v", r, err)
	}
	if err := os.Remove(filepath.Join(s.dir, "hog")); err != nil {
		t.Fatal(err)
	}
	if r, err := staged.Swap(t.Context()); err != nil || !r.Swapped || s.stamp() != "new" {
		t.Errorf("%+v, %v, %s", r, err, s.stamp())
	}
	s.pool.Close()
}
