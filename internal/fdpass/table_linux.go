package fdpass

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// leaveTable gives the thread a copy of the program's table, and closes in it
// all but what it needs: a copy of the end of a pipe, say, would keep its other
// end from seeing it close. What stays is stderr and its like, the socket, and
// what the Go scheduler polls with, whatever thread it runs on.
func leaveTable(sock int) bool {
	const beyond = 1<<32 - 1 // no descriptor: to close none
	if unix.CloseRange(beyond, beyond, unix.CLOSE_RANGE_UNSHARE) != nil && unix.Unshare(unix.CLONE_FILES) != nil {
		return false
	}
	keep, err := pollers()
	if err != nil {
		return false
	}
	keep[sock] = true
	top := 0
	for fd := range keep {
		top = max(top, fd)
	}
	for fd := 3; fd <= top; fd++ {
		if !keep[fd] {
			unix.Close(fd)
		}
	}
	return closeFrom(top + 1)
}

const ownDescriptors = "/proc/thread-self/fd"

// pollers lists the descriptors of the kinds that the Go scheduler polls with.
func pollers() (map[int]bool, error) {
	fds, err := listDescriptors()
	if err != nil {
		return nil, err
	}
	keep := make(map[int]bool)
	target := make([]byte, 64)
	for _, fd := range fds {
		n, err := unix.Readlink(ownDescriptors+"/"+strconv.Itoa(fd), target)
		if err != nil {
			continue // the one that the list was read with
		}
		switch strings.TrimPrefix(string(target[:n]), "anon_inode:") {
		case "[eventpoll]", "[eventfd]":
			keep[fd] = true
		}
	}
	return keep, nil
}

// listDescriptors reads the thread's table, with nothing but system calls.
func listDescriptors() (fds []int, err error) {
	dir, err := unix.Open(ownDescriptors, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open", err)
	}
	defer unix.Close(dir)
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.ReadDirent(dir, buf)
		if err != nil {
			return nil, os.NewSyscallError("getdents", err)
		}
		if n == 0 {
			return fds, nil
		}
		_, _, names := unix.ParseDirent(buf[:n], -1, nil)
		for _, name := range names {
			if fd, err := strconv.Atoi(name); err == nil && fd != dir {
				fds = append(fds, fd)
			}
		}
	}
}

func closeFrom(first int) bool {
	if unix.CloseRange(uint(first), 1<<32-1, 0) == nil {
		return true
	}
	fds, err := listDescriptors()
	for _, fd := range fds {
		if fd >= first {
			unix.Close(fd)
		}
	}
	return err == nil
}
