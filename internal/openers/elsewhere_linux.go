package openers

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Look is Elsewhere without pre-exec children of this process, and reports whether
// one of those has the file.
func Look(file Inode) (all []Process, preExec bool) {
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, false
	}
	for _, proc := range procs {
		pid, err := strconv.Atoi(filepath.Base(proc))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if open, err := hasOpen(proc, file); err != nil || !open {
			continue // not ours to look at, or gone meanwhile
		}
		if isPreExec(proc) {
			preExec = true
			continue
		}
		comm, err := os.ReadFile(proc + "/comm")
		if err != nil {
			continue // gone meanwhile
		}
		all = append(all, Process{pid, strings.TrimSpace(string(comm))})
	}
	return all, preExec
}

// Has reports whether a process has the file open, as far as this one may look at it.
func Has(pid int, file Inode) bool {
	open, err := hasOpen("/proc/"+strconv.Itoa(pid), file)
	return err == nil && open
}

// Writes reports whether a process has the file open for writing, as far as this one may
// look at it: true if it can't be told.
func Writes(pid int, file Inode) bool {
	proc := "/proc/" + strconv.Itoa(pid)
	dir, err := openDescriptors(proc)
	if err != nil {
		return true
	}
	defer unix.Close(dir)
	names, err := namesIn(dir)
	for _, name := range names {
		var st unix.Stat_t
		if unix.Fstatat(dir, name, &st, 0) != nil || (Inode{Dev: uint64(st.Dev), Ino: st.Ino}) != file {
			continue
		}
		if flags, ok := flagsOf(proc, name); !ok || flags&unix.O_ACCMODE != unix.O_RDONLY {
			return true
		}
	}
	return err != nil
}

// flagsOf returns with which flags a process has opened one of its descriptors:
// proc_pid_fdinfo(5).
func flagsOf(proc, name string) (flags int64, ok bool) {
	text, err := os.ReadFile(proc + "/fdinfo/" + name)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if octal, found := strings.CutPrefix(line, "flags:"); found {
			flags, err = strconv.ParseInt(strings.TrimSpace(octal), 8, 64)
			return flags, err == nil
		}
	}
	return 0, false
}

// Behind reports whether a process has a database open that was at the path before: one over
// which another was moved, or one whose WAL is still beside the path, though it has what is
// there now not open.
func Behind(pid int, path string) bool {
	dir, err := openDescriptors("/proc/" + strconv.Itoa(pid))
	if err != nil {
		return false
	}
	defer unix.Close(dir)
	now, _ := InodeOf(path)
	wal, walThere := InodeOf(path + "-wal")
	hasNow, hasWAL := false, false
	names, _ := namesIn(dir)
	link := make([]byte, len(path)+len(deleted)+1)
	for _, name := range names {
		var st unix.Stat_t
		if unix.Fstatat(dir, name, &st, 0) != nil {
			continue
		}
		has := Inode{Dev: uint64(st.Dev), Ino: st.Ino}
		hasNow = hasNow || has == now
		hasWAL = hasWAL || walThere && has == wal
		if n, err := unix.Readlinkat(dir, name, link); err == nil && string(link[:n]) == path+deleted {
			return true
		}
	}
	return hasWAL && !hasNow
}

// deleted follows the path in the link of a descriptor whose file has lost that name.
const deleted = " (deleted)"

// hasOpen looks through a process's descriptors by stat, which opens nothing.
func hasOpen(proc string, file Inode) (bool, error) {
	dir, err := openDescriptors(proc)
	if err != nil {
		return false, err
	}
	defer unix.Close(dir)
	names, err := namesIn(dir)
	for _, name := range names {
		var st unix.Stat_t
		if unix.Fstatat(dir, name, &st, 0) == nil && uint64(st.Dev) == file.Dev && st.Ino == file.Ino {
			return true, nil
		}
	}
	return false, err
}

// IsPreExec reports whether a process is a child of this one that does not run its
// own program yet: until it does it has copies of all descriptors, and only after that
// they are closed (O_CLOEXEC).
func IsPreExec(pid int) bool { return isPreExec("/proc/" + strconv.Itoa(pid)) }

func isPreExec(proc string) bool {
	child, err := statFields(proc)
	if err != nil {
		return true // gone
	}
	if child.parent != os.Getpid() {
		return false
	}
	// Before exec it is in its parent's memory, or in a copy of that; exec puts the
	// stack at an address of chance. 0 says that this process may not know.
	if self, err := statFields("/proc/self"); err == nil && child.stack != "0" && child.stack == self.stack {
		return true
	}
	// Exec closes the descriptors a moment after that.
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return false
	}
	const tick = 10 * time.Millisecond // of the kernel's USER_HZ, on every architecture that Go has
	return time.Duration(now.Nano())-time.Duration(child.started)*tick < execGrace
}

// execGrace is how long a child takes at most until its exec is done, on a machine
// that is short of processors, too; preExecPatience is longer.
const execGrace = 400 * time.Millisecond

// processStat is a part of /proc/PID/stat.
type processStat struct {
	parent  int
	started int64  // since boot, in ticks
	stack   string // where it starts; "0" if this process may not know
}

func statFields(proc string) (s processStat, err error) {
	text, err := os.ReadFile(proc + "/stat")
	if err != nil {
		return s, err
	}
	// From the third field on: the second, the command's name in parentheses,
	// may hold anything (proc_pid_stat(5)).
	const parent, started, stack = 4 - 3, 22 - 3, 28 - 3
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) <= stack {
		return s, errors.New("too few fields")
	}
	s.stack = fields[stack]
	s.parent, err = strconv.Atoi(fields[parent])
	if err == nil {
		s.started, err = strconv.ParseInt(fields[started], 10, 64)
	}
	return s, err
}
