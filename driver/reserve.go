package driver

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// reserve are descriptors in the place of those that a freeze has closed: while
// calls wait, clients go on to arrive, and in a program that is near its limit of
// descriptors (RLIMIT_NOFILE) they would take what the connections need to come
// back. It is given back in the moment before SQLite opens the files.
type reserve []int

// manyDescriptors is how many are never taken in the time that calls wait.
const manyDescriptors = 8192

// descriptorsMayRunOut reports whether fewer are free than that. FDSize is how many the
// process's table has room for: a number that it outgrew, but never shrinks to
// (proc_pid_status(5)).
func descriptorsMayRunOut() bool {
	var limit unix.Rlimit
	status, err := os.ReadFile("/proc/self/status")
	if err != nil || unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return true
	}
	_, after, _ := strings.Cut(string(status), "\nFDSize:")
	size, _, _ := strings.Cut(after, "\n")
	n, err := strconv.ParseUint(strings.TrimSpace(size), 10, 64)
	return err != nil || n+manyDescriptors > uint64(limit.Cur)
}

// nothing is a descriptor to make copies of, opened while there are some: with the
// first managed database.
var nothing = sync.OnceValue(func() int {
	fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
})

// take adds n, or as many as there are.
func (r *reserve) take(n int) {
	for range max(n, 0) {
		fd, err := unix.FcntlInt(uintptr(nothing()), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return
		}
		*r = append(*r, fd)
	}
}

func (r *reserve) giveBack() {
	for _, fd := range *r {
		syscall.Close(fd)
	}
	*r = nil
}

// descriptorsOf returns how many descriptors SQLite has for each connection of a
// database, and for all of them: in WAL mode the -wal and the -shm, too.
func descriptorsOf(path string) (each, all int) {
	if _, err := os.Stat(path + "-wal"); err == nil {
		return 2, 1
	}
	return 1, 0
}

// keepDescriptors fills the reserve of c, which a freeze has closed, up to n.
func (c *conn) keepDescriptors(n int) {
	if n == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.reserve.take(n - len(c.reserve))
	}
}

// giveBackDescriptors makes room for what c is about to open. The caller owns c.
func (c *conn) giveBackDescriptors() {
	c.reserve.giveBack()
	if c.db != nil {
		c.db.giveBackDescriptors()
	}
}

func (d *Database) giveBackDescriptors() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reserve.giveBack()
}
