package sockserver

import (
	"context"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// bindPrivate makes a socket that is its owner's alone from the first moment.
// Linux makes the file with the mode of the socket's own inode, less the
// umask; the umask itself belongs to the whole process, so it stays untouched.
func bindPrivate(path string) (*net.UnixListener, error) {
	var modeErr error
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		err := raw.Control(func(fd uintptr) { modeErr = unix.Fchmod(int(fd), 0o600) })
		if err != nil {
			return err
		}
		return modeErr
	}}
	l, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	return l.(*net.UnixListener), nil
}
