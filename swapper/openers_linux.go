package swapper

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// opener is a process that has the database's file open.
type opener struct {
	pid     int
	command string
}

func (o opener) String() string { return fmt.Sprintf("process %d (%s)", o.pid, o.command) }

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
func openersElsewhere(dev, ino uint64) []opener {
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
func lookForOpeners(dev, ino uint64) (out []opener, newborn bool) {
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
		out = append(out, opener{pid, strings.TrimSpace(string(comm))})
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
	dir, err := os.Open(proc + "/fd")
	if err != nil {
		return false, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		var st syscall.Stat_t
		if syscall.Stat(proc+"/fd/"+name, &st) == nil && uint64(st.Dev) == dev && st.Ino == ino {
			return true, nil
		}
	}
	return false, nil
}
