//go:build linux

package swapper_test

import (
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

// lacks makes system calls fail as on a file system that has no such thing.
func lacks(t *testing.T, calls map[uintptr]unix.Errno) {
	t.Helper()
	for number, errno := range calls {
		if err := testenv.Forbid(number, errno); err != nil {
			testenv.Skip(t, "no seccomp here: %v", err)
		}
	}
}

// firstPush pushes to a database that is not there yet.
func firstPush(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "live.sqlite3")
	pool, err := sql.Open(driver.Name, path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	s := &service{t: t, dir: dir, path: path, pool: pool, db: lookup(t, path)}
	if r := s.mustPush(source(t, "first"), swapper.PushOptions{}); r.Method != swapper.MethodRename || s.stamp() != "first" {
		t.Errorf("a first push: %+v", r)
	}
	s.onlyFiles()
}

// TestWhereNamesCantBeExchangedThePushStillRenames: by a second name for the old
// file, as an old kernel or a file system like JFS takes it.
func TestWhereNamesCantBeExchangedThePushStillRenames(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{}) {
		return
	}
	lacks(t, map[uintptr]unix.Errno{unix.SYS_RENAMEAT2: unix.EINVAL})
	for _, backup := range []bool{false, true} {
		s := start(t, t.TempDir(), "&_journal=WAL")
		r := s.mustPush(source(t, "new"), swapper.PushOptions{Backup: backup})
		if r.Method != swapper.MethodRename || s.stamp() != "new" {
			t.Errorf("%+v", r)
		}
		if backup {
			s.onlyFiles("live.sqlite3~")
		} else {
			s.onlyFiles()
		}
	}
	firstPush(t)
}

// TestWhereAFileHasOneNameOnlyAPushGoesInPlace: exFAT, some of FUSE, SMB.
func TestWhereAFileHasOneNameOnlyAPushGoesInPlace(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{}) {
		return
	}
	lacks(t, map[uintptr]unix.Errno{unix.SYS_RENAMEAT2: unix.EINVAL, unix.SYS_LINKAT: unix.EPERM})
	s := start(t, t.TempDir(), "&_journal=WAL")
	r := s.mustPush(source(t, "new"), swapper.PushOptions{Backup: true})
	if r.Method != swapper.MethodInPlace || !strings.Contains(r.InPlaceBecause, "can neither exchange two names") || s.stamp() != "new" {
		t.Errorf("%+v", r)
	}
	s.onlyFiles("live.sqlite3~")
	s.refuses(swapper.PushOptions{Method: swapper.MethodRename}, swapper.ErrTarget, "can neither exchange two names", "push in place (--method=in-place)")
	firstPush(t)
}

// TestWithoutProcAPushGoesInPlace: what the program itself has open can't be seen.
func TestWithoutProcAPushGoesInPlace(t *testing.T) {
	t.Parallel()
	if !again(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}) {
		return
	}
	dir := tmpfs(t, "16m")
	if err := unix.Mount("tmpfs", "/proc", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	s := start(t, dir, "&_journal=WAL")
	orphan := filepath.Join(dir, ".live.sqlite3.hotswap-AAAAAAAAAAAA.stage")
	if err := os.WriteFile(orphan, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := s.mustPush(source(t, "new"), swapper.PushOptions{})
	if r.Method != swapper.MethodInPlace || !strings.Contains(r.InPlaceBecause, "there is no /proc") || s.stamp() != "new" {
		t.Errorf("%+v", r)
	}
	s.onlyFiles() // the orphan is removed
	if _, err := s.push(source(t, "newer"), swapper.PushOptions{Method: swapper.MethodRename}); !errors.Is(err, swapper.ErrTarget) || !strings.Contains(err.Error(), "there is no /proc") {
		t.Errorf("by rename: %v", err)
	}
	s.pool.Close()
	firstPush(t)
}
