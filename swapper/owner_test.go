package swapper_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hotswap/swapper"
)

// shared makes a live database that belongs to a user, and becomes nobody, who
// may write to it.
func shared(t *testing.T, dir string, owner int, journal string) (s *service, data []byte) {
	t.Helper()
	path := filepath.Join(dir, "live.sqlite3")
	makeDatabase(t, path, "live", 200)
	if err := errors.Join(os.Chmod(dir, 0o777), os.Chmod(path, 0o666), os.Chown(path, owner, owner)); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setresgid(nobody, nobody, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Setresgid(0, 0, 0) })
	data = source(t, "new")
	asNobody(t)
	return open(t, path, "_journal="+journal), data
}

// TestTheFileOfAnotherOwnerIsOverwrittenInPlace: the program may write to it, but
// may neither give a new file to its owner nor have a lease on this one.
func TestTheFileOfAnotherOwnerIsOverwrittenInPlace(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return
	}
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			dir := tmpfs(t, "16m")
			s, data := shared(t, dir, 0, mode)
			refused, err := s.push(data, swapper.PushOptions{Method: swapper.MethodRename})
			if !errors.Is(err, swapper.ErrNotPermitted) || refused.Swapped || s.stamp() != "live" {
				t.Errorf("a rename: %v", err)
			}
			for _, text := range []string{"owner 0:0", "unchanged", "let the program's user own"} {
				if err != nil && !strings.Contains(err.Error(), text) {
					t.Errorf("the message does not say %q: %v", text, err)
				}
			}
			// A backup is a new file, whichever way the push goes.
			refused, err = s.push(data, swapper.PushOptions{Method: swapper.MethodInPlace, Backup: true})
			if !errors.Is(err, swapper.ErrNotPermitted) || refused.Swapped || s.stamp() != "live" {
				t.Errorf("in place, with a backup: %v", err)
			}
			if err != nil && (!strings.Contains(err.Error(), "give the backup the live") || !strings.Contains(err.Error(), "without --backup") || strings.Contains(err.Error(), "--method=in-place")) {
				t.Errorf("in place, with a backup, the message is %v", err)
			}
			r := s.mustPush(data, swapper.PushOptions{})
			if r.Method != swapper.MethodInPlace || !strings.Contains(r.InPlaceBecause, "owner 0:0") || s.stamp() != "new" {
				t.Errorf("%+v", r)
			}
			if st := info(t, s.path).Sys().(*syscall.Stat_t); st.Uid != 0 {
				t.Errorf("the file is user %d's now", st.Uid)
			}
			s.exec("INSERT INTO items (stamp) VALUES ('new')")
			s.onlyFiles()
			s.pool.Close()
		})
	}
}

func TestAProgramWhoseUmaskLeavesItNothingMayPush(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return
	}
	s, data := shared(t, tmpfs(t, "16m"), nobody, "WAL")
	defer syscall.Umask(syscall.Umask(0o777))
	if r := s.mustPush(data, swapper.PushOptions{}); r.Method != swapper.MethodRename || s.stamp() != "new" {
		t.Errorf("%+v", r)
	}
}

// TestAnOwnerNeedsNoCapabilityForTheLease, which alone sees the process of
// another user.
func TestAnOwnerNeedsNoCapabilityForTheLease(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return
	}
	s, data := shared(t, tmpfs(t, "16m"), nobody, "DELETE")
	if r := s.mustPush(data, swapper.PushOptions{}); r.Method != swapper.MethodRename || s.stamp() != "new" {
		t.Errorf("%+v", r)
	}
	syscall.Setresuid(0, 0, 0)
	root := startOther(t, "file:"+s.path)
	root.must(readStamps)
	syscall.Setresuid(nobody, nobody, 0)
	r := s.mustPush(data, swapper.PushOptions{})
	if r.Method != swapper.MethodInPlace || !strings.Contains(r.InPlaceBecause, "a process that this one may not inspect") {
		t.Errorf("%+v", r)
	}
	if got := root.must(readStamps); got != "new" {
		t.Errorf("root's process reads %s", got)
	}
	s.pool.Close()
	syscall.Setresuid(0, 0, 0)
	root.quit()
}
