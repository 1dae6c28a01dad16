package main

// extern int hotswap_closed_at_start;
import "C"

import (
	"os"
	"sync/atomic"
	"syscall"

	"hotswap/internal/unix"
)

// streams are the standard streams.
type streams struct {
	in, out, err *os.File
	closed       [3]bool // those that the process was started without

	// status is the command that shows what became of this one, once it is known which
	// program it asks.
	status atomic.Pointer[string]
}

// standardStreams returns the process's. Go's runtime opens /dev/null for one
// that is closed, lest a file that is opened later be taken for it. But what is
// written there would be lost without an error, and it can't be distinguished
// from a /dev/null that the caller chose. So a closed stream is replaced by one
// that fails as a closed one does.
func standardStreams() *streams {
	s := &streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	for fd := range s.closed {
		s.closed[fd] = C.hotswap_closed_at_start>>fd&1 != 0
	}
	if s.closed[0] {
		s.in = unusable("standard input", syscall.O_WRONLY)
	}
	if s.closed[1] {
		s.out = unusable("standard output", syscall.O_RDONLY)
	}
	return s
}

// unusable is a file that can't be used in the other direction: EBADF.
func unusable(name string, direction int) *os.File {
	fd, err := unix.Open(os.DevNull, direction|syscall.O_CLOEXEC, 0)
	if err != nil {
		fd = -1
	}
	return os.NewFile(uintptr(fd), name)
}
