package sockserver

import (
	"errors"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"hotswap/internal/reserve"
)

// spare is a descriptor that a listener has set aside: with all others in use, a client
// would wait in the socket's queue, and never hear why.
type spare struct {
	mu     sync.Mutex // guards what follows; a leaf
	one    reserve.Reserve
	closed bool
}

func (s *spare) open() {
	reserve.Prepare()
	s.refill()
}

func (s *spare) refill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.one.Fill(1)
	}
}

func (s *spare) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.one.Release()
}

func (s *spare) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.one.Release()
}

// scarcePatience is requestPatience for those who are refused one after the other.
const scarcePatience = requestPatience / 5

// acceptUnix is AcceptUnix, but while there is no descriptor for a client it tells each
// of them so.
func (l *listener) acceptUnix() (*net.UnixConn, error) {
	for {
		conn, err := l.AcceptUnix()
		if !scarce(err) {
			return conn, err
		}
		fd, free, err := l.acceptScarce()
		if err != nil {
			return nil, err
		}
		file := os.NewFile(uintptr(fd), l.path)
		if free { // again
			if conn, err := net.FileConn(file); err == nil { // a copy
				file.Close()
				return conn.(*net.UnixConn), nil
			}
		}
		p := tooMany("the program has as many files open as it may (RLIMIT_NOFILE)")
		p.Hint = "close what it need not have open, or raise the limit (LimitNOFILE= of systemd, ulimit -n)"
		refuseConnection(bare{file}, p, scarcePatience)
		l.spare.refill()
	}
}

// acceptScarce waits for the next client. free says that its descriptor is not the one
// that was set aside.
func (l *listener) acceptScarce() (fd int, free bool, err error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return -1, false, err
	}
	for {
		var acceptErr error
		// Of a listener, RawConn's Read is not there (net, rawconn.go). Close waits for
		// the end of Control.
		if err := raw.Control(func(listening uintptr) {
			set := []unix.PollFd{{Fd: int32(listening), Events: unix.POLLIN}}
			if n, _ := unix.Poll(set, int(scarcePatience.Milliseconds())); n == 0 {
				acceptErr = unix.EAGAIN
				return
			}
			fd, acceptErr = accept(listening)
			if free = acceptErr == nil; free || !scarce(acceptErr) {
				return
			}
			l.spare.release()
			if fd, acceptErr = accept(listening); acceptErr != nil {
				l.spare.refill()
			}
		}); err != nil {
			return -1, false, err
		}
		switch {
		case acceptErr == nil:
			return fd, free, nil
		case acceptErr != unix.EAGAIN && acceptErr != unix.EINTR && acceptErr != unix.ECONNABORTED && !scarce(acceptErr):
			return -1, false, os.NewSyscallError("accept4", acceptErr)
		}
	}
}

func accept(listening uintptr) (fd int, err error) {
	fd, _, err = unix.Accept4(int(listening), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return fd, err
}

func scarce(err error) bool { return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) }

// bare is a connection without the second descriptor that net.FileConn takes.
type bare struct{ *os.File }

func (c bare) CloseWrite() error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var shutErr error
	if err := raw.Control(func(fd uintptr) { shutErr = unix.Shutdown(int(fd), unix.SHUT_WR) }); err != nil {
		return err
	}
	return os.NewSyscallError("shutdown", shutErr)
}
