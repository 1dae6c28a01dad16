// Package reserve holds descriptors in place of those that were closed for a moment: in
// a program near its limit of them (RLIMIT_NOFILE), clients that arrive meanwhile would
// take what its database connections need to come back.
package reserve

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"hotswap/internal/unix"
)

// Reserve is a set of descriptors. The zero value is empty. It is not safe for
// concurrent use.
type Reserve struct{ fds []int }

// many is more descriptors than are ever taken in the time that calls wait.
const many = 8192

// MayBeNeeded reports whether fewer descriptors may be free than could be taken in the
// meantime.
func MayBeNeeded() bool {
	size, ok := tableSize()
	return !ok || size+many > Limit()
}

// Limit is how many descriptors the process may have.
func Limit() uint64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return many // whatever it is, it is not unlimited
	}
	return uint64(limit.Cur)
}

// tableSize is the size of the process's descriptor table, which grows but never shrinks
// (FDSize in proc_pid_status(5)).
func tableSize() (n uint64, ok bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	_, after, _ := strings.Cut(string(status), "\nFDSize:")
	size, _, _ := strings.Cut(after, "\n")
	n, err = strconv.ParseUint(strings.TrimSpace(size), 10, 64)
	return n, err == nil
}

// Scarce reports whether fewer than a quarter of the descriptors that the process may
// have are free; false where that can't be seen.
func Scarce() bool {
	limit := Limit()
	enough := limit - limit/4
	if size, ok := tableSize(); ok && size <= enough {
		return false
	}
	if dir, err := os.Stat("/proc/self/fd"); err == nil && dir.Size() > 0 { // their number, since Linux 6.2
		return uint64(dir.Size()) > enough
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return errors.Is(err, syscall.EMFILE)
	}
	return uint64(len(open)) > enough
}

// Prepare opens the descriptor of which the others are copies, and is to be called
// while descriptors are free. Later calls do nothing.
func Prepare() { nothing() }

var nothing = sync.OnceValue(func() int {
	fd, err := unix.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
})

// Fill takes descriptors until r has n, or no more are free.
func (r *Reserve) Fill(n int) {
	for len(r.fds) < n {
		fd, err := unix.FcntlInt(uintptr(nothing()), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return
		}
		r.fds = append(r.fds, fd)
	}
}

// Release closes them all, right before files are opened in their place.
func (r *Reserve) Release() {
	for _, fd := range r.fds {
		unix.Close(fd)
	}
	r.fds = nil
}
