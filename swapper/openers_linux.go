package swapper

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// openedHere reports whether this process has the inode open, by whatever code.
func openedHere(dev, ino uint64) (bool, error) {
	names, err := descriptors("/proc/self")
	if err != nil {
		return openedHereByNumber(dev, ino), nil
	}
	for _, name := range names {
		var st unix.Stat_t // quicker than by path, and calls wait meanwhile
		if fd, err := strconv.Atoi(name); err == nil && unix.Fstat(fd, &st) == nil && uint64(st.Dev) == dev && st.Ino == ino {
			return true, nil
		}
	}
	return false, err
}

// openedHereByNumber does without /proc, and takes longer.
func openedHereByNumber(dev, ino uint64) bool {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return true // who knows
	}
	for fd := range int(min(limit.Cur, 1<<20)) {
		var st unix.Stat_t
		if unix.Fstat(fd, &st) == nil && uint64(st.Dev) == dev && st.Ino == ino {
			return true
		}
	}
	return false
}

// blindness says why it can't be known who has a file open, be it another process
// or this one; "" if it can.
func blindness() string {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		return "there is no /proc, by which it is seen what has the file open"
	}
	return ""
}

// openersElsewhere lists the other processes that have the inode open, of
// those that this one may look at: its own user's, or all for root. The lease
// will see those, too, that this misses.
func openersElsewhere(dev, ino uint64) []Opener {
	openers, _ := lookForOpeners(dev, ino)
	return openers
}

// lookForOpeners leaves out newborn processes, and says whether there are any.
func lookForOpeners(dev, ino uint64) (out []Opener, newborn bool) {
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, false
	}
	for _, proc := range procs {
		pid, err := strconv.Atoi(filepath.Base(proc))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if open, err := hasOpen(proc, dev, ino); err != nil || !open {
			continue // not ours to look at, or gone meanwhile
		}
		if isNewborn(proc) {
			newborn = true
			continue
		}
		comm, _ := os.ReadFile(proc + "/comm")
		out = append(out, Opener{pid, strings.TrimSpace(string(comm))})
	}
	return out, newborn
}

// isNewborn reports whether a process is a child of this one that does not run
// its own program yet: until it does it has copies of all descriptors, and only
// after that they are closed (O_CLOEXEC).
func isNewborn(proc string) bool {
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
	return time.Duration(now.Nano())-time.Duration(child.started)*tick < youth
}

// youth is how long a child takes at most until its exec is done, on a machine
// that is not short of processors.
const youth = 100 * time.Millisecond

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

// hasOpen looks through a process's descriptors by stat, which opens nothing.
func hasOpen(proc string, dev, ino uint64) (bool, error) {
	names, err := descriptors(proc)
	for _, name := range names {
		var st syscall.Stat_t
		if syscall.Stat(proc+"/fd/"+name, &st) == nil && uint64(st.Dev) == dev && st.Ino == ino {
			return true, nil
		}
	}
	return false, err
}

func descriptors(proc string) ([]string, error) {
	dir, err := os.Open(proc + "/fd")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.Readdirnames(-1)
}

// openHeader is openHead of a header with its magic; nil of anything else.
func openHeader(dev, ino uint64) []byte {
	if head := openHead(dev, ino, headerSize); checkMagic(head) == nil {
		return head
	}
	return nil
}

// openHead reads how the file begins through a descriptor that a connection of
// this process has. To open the file is out of the question:
// closing it again would drop the locks of every connection that has it open
// (https://www.sqlite.org/howtocorrupt.html, section 2.2). nil if nothing has
// it open, or it is shorter. A descriptor may be closed, and its number be another
// file's, while we look: a read at an offset changes nothing there, and it is
// looked at once more whose it was.
func openHead(dev, ino uint64, length int) []byte {
	names, _ := descriptors("/proc/self")
	for _, name := range names {
		var st unix.Stat_t
		fd, err := strconv.Atoi(name)
		if err != nil || unix.Fstat(fd, &st) != nil || uint64(st.Dev) != dev || st.Ino != ino {
			continue
		}
		head := make([]byte, length)
		n, err := unix.Pread(fd, head, 0)
		if err == nil && n == length && unix.Fstat(fd, &st) == nil && uint64(st.Dev) == dev && st.Ino == ino {
			return head
		}
	}
	return nil
}
