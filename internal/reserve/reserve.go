// Package reserve holds descriptors in the place of those that were closed for a
// moment: in a program that is near its limit of them (RLIMIT_NOFILE) clients that
// arrive meanwhile would take what its database connections need to come back.
package reserve

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"hotswap/internal/unix"
)

// Reserve is some descriptors. The zero value has none. It is not for concurrent use.
type Reserve struct{ fds []int }

// many is how many descriptors are never taken in the time that calls wait.
const many = 8192

// MayBeNeeded reports whether fewer descriptors are free than could be taken in the
// meantime.
func MayBeNeeded() bool {
	// FDSize is how many the process's table has room for: a number that it outgrew,
	// but never shrinks to (proc_pid_status(5)).
	var limit unix.Rlimit
	status, err := os.ReadFile("/proc/self/status")
	if err != nil || unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return true
	}
	_, after, _ := strings.Cut(string(status), "\nFDSize:")
	size, _, _ := strings.Cut(after, "\n")
	n, err := strconv.ParseUint(strings.TrimSpace(size), 10, 64)
	return err != nil || n+many > uint64(limit.Cur)
}

// Prepare is to be called while descriptors are free: it opens one that the others
// are copies of. Later calls do nothing.
func Prepare() { nothing() }

var nothing = sync.OnceValue(func() int {
	fd, err := unix.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
})

// Fill takes as many as n lacks, or as there are.
func (r *Reserve) Fill(n int) {
	for len(r.fds) < n {
		fd, err := unix.FcntlInt(uintptr(nothing()), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return
		}
		r.fds = append(r.fds, fd)
	}
}

// GiveBack lets go of all, right before files are opened in their place.
func (r *Reserve) GiveBack() {
	for _, fd := range r.fds {
		unix.Close(fd)
	}
	r.fds = nil
}
