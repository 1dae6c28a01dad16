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
	return hasOpen("/proc/self", dev, ino)
}

// openersElsewhere lists the other processes that have the inode open, of
// those that this one may look at: its own user's, or all for root.
//
// A process that the program starts has copies of its descriptors until it runs
// its own program, which closes them (O_CLOEXEC). While ForkLock is held none is
// started, and those that were get there.
func openersElsewhere(dev, ino uint64) []Opener {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	for deadline := time.Now().Add(newbornPatience); ; time.Sleep(time.Millisecond) {
		openers, newborn := lookForOpeners(dev, ino)
		if len(openers) == 0 || !newborn || time.Now().After(deadline) {
			return openers
		}
	}
}

// lookForOpeners also tells whether all it has found may be newborn.
func lookForOpeners(dev, ino uint64) (out []Opener, newborn bool) {
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, false
	}
	newborn = true
	for _, proc := range procs {
		pid, err := strconv.Atoi(filepath.Base(proc))
		if err != nil || pid == os.Getpid() {
			continue
		}
		if open, err := hasOpen(proc, dev, ino); err != nil || !open {
			continue // not ours to look at, or gone meanwhile
		}
		comm, _ := os.ReadFile(proc + "/comm")
		out = append(out, Opener{pid, strings.TrimSpace(string(comm))})
		newborn = newborn && isNewborn(proc)
	}
	return out, newborn
}

// isNewborn reports whether a process is a child of this one.
func isNewborn(proc string) bool {
	stat, err := os.ReadFile(proc + "/stat")
	if err != nil {
		return true // gone
	}
	// The command's name, in parentheses, may hold anything: proc_pid_stat(5).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	return len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid())
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
