package swapper

import (
	"bytes"
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
	for _, name := range names {
		var st unix.Stat_t // quicker than by path, and calls wait meanwhile
		if fd, err := strconv.Atoi(name); err == nil && unix.Fstat(fd, &st) == nil && uint64(st.Dev) == dev && st.Ino == ino {
			return true, nil
		}
	}
	return false, err
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

// isNewborn reports whether a process is a child of this one, and so young that
// it may not run its own program yet: until it does it has copies of all
// descriptors, and only after that they are closed (O_CLOEXEC).
func isNewborn(proc string) bool {
	stat, err := os.ReadFile(proc + "/stat")
	if err != nil {
		return true // gone
	}
	// From the third field on: the second, the command's name in parentheses,
	// may hold anything (proc_pid_stat(5)).
	const ppid, startTime = 4 - 3, 22 - 3
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= startTime || fields[ppid] != strconv.Itoa(os.Getpid()) {
		return false
	}
	var now unix.Timespec
	started, err := strconv.ParseInt(fields[startTime], 10, 64)
	if err != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return false
	}
	const tick = 10 * time.Millisecond // of the kernel's USER_HZ, on every architecture that Go has
	return time.Duration(now.Nano())-time.Duration(started)*tick < newbornPatience
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

// openHeader reads the header of the database through a descriptor that a
// connection of this process has. To open the file is out of the question:
// closing it again would drop the locks of every connection that has it open
// (https://www.sqlite.org/howtocorrupt.html, section 2.2). nil if nothing has
// it open. A descriptor may be closed, and its number be another file's, while
// we look: a read at an offset changes nothing there, and what comes of it has
// no magic.
func openHeader(dev, ino uint64) []byte {
	names, _ := descriptors("/proc/self")
	for _, name := range names {
		var st unix.Stat_t
		fd, err := strconv.Atoi(name)
		if err != nil || unix.Fstat(fd, &st) != nil || uint64(st.Dev) != dev || st.Ino != ino {
			continue
		}
		head := make([]byte, headerSize)
		if n, err := unix.Pread(fd, head, 0); err == nil && checkMagic(head[:n]) == nil {
			return head
		}
	}
	return nil
}
