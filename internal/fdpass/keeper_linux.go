package fdpass

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// keeper is a thread with a table of descriptors of its own, for one File; see
// the package comment for why.
//
// It is a goroutine locked to its thread, which ends with it. What it runs makes
// system calls of its own and touches no os.File, net.Conn or log: their numbers
// mean nothing here.
type keeper struct {
	calls chan func()
	gone  chan struct{} // closed at the thread's end
	// abandoned is set once a call was given up before it returned: the file is on
	// a file system that hangs, and the keeper ends when that call does.
	abandoned atomic.Bool
	stop      func() // closes calls, once
}

// receive reads from a socket together with what came with the bytes. It is not
// ok, and nothing is read, if the system does not let a thread have a table of
// its own, or if there are too many already.
func (r *Receiver) receive(sock int, p []byte) (n int, came *File, ok bool) {
	select {
	case r.threads <- struct{}{}:
	default:
		return 0, nil, false
	}
	release := func() { <-r.threads }
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
		n, came = size, newFile(k, parseRights(control[:controlSize]), flags&unix.MSG_CTRUNC != 0)
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

// inKeeper runs call in the keeper, and waits for it until ctx ends, or for
// limit: a file system that hangs must not take the caller with it.
func inKeeper[T any](ctx context.Context, k *keeper, limit time.Duration, call func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, ErrStalled)
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
		k.abandoned.Store(true)
		return none, context.Cause(ctx)
	}
}

// end ends the thread, and waits for that unless a call was abandoned there.
func (k *keeper) end() {
	k.stop()
	if !k.abandoned.Load() {
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
