package swapper

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
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
func openersElsewhere(dev, ino uint64) []opener {
	procs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil
	}
	var out []opener
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
	}
	return out
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
