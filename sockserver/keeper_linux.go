package sockserver

import (
	"context"
	"encoding/binary"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// keeper is a thread with a table of descriptors of its own, for those that a
// client passes: they never enter the program's.
//
// SQLite's locks are the process's, and closing any descriptor of a file drops
// all that the process has on it (https://www.sqlite.org/howtocorrupt.html,
// section 2.2). A client may pass a file that the program has open through
// SQLite, be it by mistake, and to receive it is enough: sooner or later it has
// to be closed. But what the kernel means by the process there is the table. To
// close a descriptor of another table drops no lock of this one.
//
// It is a goroutine locked to its thread, which ends with it. What it runs makes
// system calls of its own and touches no os.File, net.Conn or log: their numbers
// mean nothing here.
type keeper struct {
	calls chan func()
	gone  chan struct{} // closed at the thread's end
	// left is set once a call was given up before it returned: the file is on a
	// file system that hangs, and the keeper ends when that does.
	left atomic.Bool
	stop func() // closes calls, once
}

// keepers bounds how many threads keep descriptors: one that was passed costs a
// thread until its request ends, or until the connection is given up.
type keepers chan struct{}

const maxKeepers = 64

func newKeepers() keepers { return make(keepers, maxKeepers) }

// receive reads from a socket together with what came with the bytes. It is not
// ok, and nothing is read, if the system does not let a thread have a table of
// its own, or if there are too many already.
func (ks keepers) receive(sock int, p []byte) (n int, came *descriptor, ok bool) {
	select {
	case ks <- struct{}{}:
	default:
		return 0, nil, false
	}
	release := func() { <-ks }
	k := &keeper{calls: make(chan func()), gone: make(chan struct{})}
	k.stop = sync.OnceFunc(func() { close(k.calls) })
	received := make(chan bool)
	go onOwnThread(func() {
		defer close(k.gone)
		defer release()
		if !leaveTable(sock) {
			received <- false
			return
		}
		// Room for two, which is one more than is of use: the kernel drops the rest.
		control := make([]byte, unix.CmsgSpace(2*4))
		size, controlSize, flags, _, err := unix.Recvmsg(sock, p, control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		unix.Close(sock)
		if err != nil {
			received <- false
			return
		}
		n, came = size, newDescriptor(k, parseRights(control[:controlSize]), flags&unix.MSG_CTRUNC != 0)
		received <- true
		for call := range k.calls {
			call()
		}
		came.closeKept()
	})
	if !<-received {
		return 0, nil, false
	}
	return n, came, true
}

// parseRights finds the descriptors in a control message.
func parseRights(control []byte) (fds []int) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SCM_RIGHTS {
			continue
		}
		for data := m.Data; len(data) >= 4; data = data[4:] {
			fds = append(fds, int(int32(binary.NativeEndian.Uint32(data))))
		}
	}
	return fds
}

// inKeeper runs call in the descriptor's keeper, and waits for it until ctx ends,
// or for the descriptor's limit: a file system that hangs must not take the
// request with it.
func inKeeper[T any](ctx context.Context, d *descriptor, call func() (T, error)) (T, error) {
	k := d.keeper
	ctx, cancel := context.WithTimeoutCause(ctx, d.limit, errBodyStalled)
	defer cancel()
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	var none T
	select {
	case k.calls <- func() {
		value, err := call()
		done <- result{value, err}
	}:
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
	select {
	case got := <-done:
		return got.value, got.err
	case <-ctx.Done():
		k.left.Store(true)
		return none, context.Cause(ctx)
	}
}

func (k *keeper) end() {
	k.stop()
	if !k.left.Load() {
		<-k.gone
	}
}

// onOwnThread runs f on a thread that does nothing else, and ends after it. It
// is not the process's first one, which never ends, and whose table is what
// /proc/self/fd shows.
func onOwnThread(f func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	defer runtime.UnlockOSThread()
	started := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		close(started)
		f()
	}()
	<-started // this one keeps the first thread until then
}

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
