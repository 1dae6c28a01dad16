package sockserver

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"hotswap/internal/fdpass"
	"hotswap/internal/reserve"
	"hotswap/internal/sqlitefile"
)

// Why [Start] can't listen on a socket.
var (
	// ErrInUse: a server answers at the socket, or is starting there.
	ErrInUse = errors.New("another server is using this socket")
	// ErrNotSocket: a file that is not a socket is in the way.
	ErrNotSocket = errors.New("not a socket")
	// ErrSocketPathTooLong: the path does not fit into a socket address, which
	// takes 107 bytes on Linux and 103 on macOS.
	ErrSocketPathTooLong = errors.New("socket path too long")
)

// maxSocketPath is how long a path fits into a sockaddr_un with its final NUL:
// 107 bytes on Linux, 103 on macOS and the BSDs.
const maxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// listener is a listening socket. Closing it removes the socket, unless it was
// taken over.
type listener struct {
	*net.UnixListener
	path string      // absolute: the program may change its working directory
	open bool        // to other users
	lock *socketLock // nil: taken over
	made os.FileInfo // the socket that is ours to remove

	files *fdpass.Receiver // receives what its connections pass
	// enter, if set, returns why a connection is refused, or nil.
	enter func(net.Conn) *Problem
	// refusing has one for each of those who are being refused.
	refusing chan struct{}
	spare    spare // of Accept

	closing  sync.Once
	closeErr error // set by closing
}

// listen makes a socket at path. open lets other users connect; without it,
// there is no moment at which they could.
//
// A lock file beside the socket, held for as long as the socket lives, is what
// makes one of two servers win that start at once, and what ends with a
// process that is killed. The socket is dialled nevertheless: a server that is
// not ours takes no such lock.
func listen(path string, open bool) (*listener, error) {
	l, err := listenAt(socketAddress(path), open)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return l, nil
}

func newListener(inner *net.UnixListener, path string) *listener {
	l := &listener{UnixListener: inner, path: path, files: fdpass.NewReceiver(), refusing: make(chan struct{}, boundsOf(reserve.Limit()).refusals)}
	l.spare.open()
	return l
}

func listenAt(path string, open bool) (*listener, error) {
	if err := checkSocketPath(path); err != nil {
		return nil, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := makeDir(filepath.Dir(path), open); err != nil {
		return nil, err
	}
	lock, err := lockSocket(abs + ".lock")
	if err != nil {
		return nil, err
	}
	l, err := listenLocked(path, abs, open, lock)
	if err != nil {
		lock.release()
	}
	return l, err
}

// listenLocked is listenAt with the lock held, which is the caller's if that fails.
func listenLocked(path, abs string, open bool, lock *socketLock) (_ *listener, err error) {
	if err := removeDeadSocket(path); err != nil {
		return nil, err
	}
	inner, err := bindPrivate(path)
	if err != nil {
		return nil, err
	}
	inner.SetUnlinkOnClose(false) // it would remove whatever is there by then
	l := newListener(inner, abs)
	l.lock, l.open = lock, open
	mode := fs.FileMode(0o600)
	if open {
		mode = 0o666
	}
	if err = os.Chmod(path, mode); err == nil {
		l.made, err = os.Lstat(path)
	}
	if err != nil {
		l.spare.close()
		return nil, errors.Join(err, inner.Close(), os.Remove(path))
	}
	return l, nil
}

// Accept waits for a connection, whose first bytes may carry a descriptor.
func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.acceptUnix()
		if err != nil {
			return nil, err
		}
		served := l.files.Conn(conn)
		if l.enter == nil {
			return served, nil
		}
		p := l.enter(served)
		if p == nil {
			return served, nil
		}
		l.refuse(served, p)
	}
}

// refuse answers beside what else there is to accept, as far as it is bounded.
func (l *listener) refuse(conn refusable, p *Problem) {
	select {
	case l.refusing <- struct{}{}:
		go func() {
			refuseConnection(conn, p, requestPatience)
			<-l.refusing
		}()
	default:
		answerAtOnce(conn, p)
		conn.Close()
	}
}

// Close stops listening and removes the socket, unless another has taken its
// place. Only the first call does anything: after it, the path may be another
// server's.
func (l *listener) Close() error {
	l.closing.Do(func() {
		defer l.spare.close()
		if l.lock == nil { // taken over: the socket belongs to its maker
			l.closeErr = l.UnixListener.Close()
			return
		}
		// Gone from the directory first: then a client finds "no socket"
		// rather than one that nobody answers.
		var err error
		if now, statErr := os.Lstat(l.path); statErr == nil && os.SameFile(now, l.made) {
			err = os.Remove(l.path)
		}
		l.closeErr = errors.Join(err, l.UnixListener.Close(), l.lock.release())
	})
	return l.closeErr
}

// makeDir makes the socket's directory. The mode of one that exists is its
// owner's business.
func makeDir(dir string, open bool) error {
	mode := fs.FileMode(0o700)
	if open {
		mode = 0o711
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("create the socket's directory: %w", err)
	}
	err := os.Mkdir(dir, mode)
	if errors.Is(err, fs.ErrExist) {
		if info, statErr := os.Stat(dir); statErr == nil && info.IsDir() {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("create the socket's directory: %w", err)
	}
	return os.Chmod(dir, mode) // whatever the umask made of it
}

// ownSocket is what to do where another server is in the way.
const ownSocket = "stop it, or give this one a socket of its own: Config.SocketPath, or " + EnvSocket + " in its environment"

// removeDeadSocket makes room at path: it removes a socket that nobody
// answers, and nothing else.
func removeDeadSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%w: %s is in the way; remove it, or choose another path", ErrNotSocket, sqlitefile.KindOf(info.Mode()))
	}
	conn, err := net.Dial("unix", path)
	switch {
	case err == nil:
		defer conn.Close()
		who := "a server answers there"
		if p, err := peerOf(conn.(*net.UnixConn)); err == nil && p.pid > 0 {
			who = fmt.Sprintf("process %d answers there", p.pid)
		}
		return fmt.Errorf("%w: %s; %s", ErrInUse, who, ownSocket)
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		// Full queue, no permission, another kind of socket: somebody's.
		return fmt.Errorf("%w: %w", ErrInUse, err)
	}
}

// socketAddress keeps package net from taking a leading @ for a name outside
// the file system.
func socketAddress(path string) string {
	if strings.HasPrefix(path, "@") {
		return "./" + path
	}
	return path
}

func checkSocketPath(path string) error {
	if len(path) > maxSocketPath {
		return fmt.Errorf("%w: it has %d bytes, and a socket's may have %d; choose a shorter or a relative one",
			ErrSocketPathTooLong, len(path), maxSocketPath)
	}
	return nil
}
