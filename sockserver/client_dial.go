package sockserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"hotswap/internal/printable"
	"hotswap/internal/sqlitefile"
	"hotswap/internal/unix"
)

// Why a client can't connect. A *DialError wraps one of these, or
// ErrSocketPathTooLong.
var (
	// ErrNoServer: there is no socket, or nothing answers at it.
	ErrNoServer = errors.New("no server at the socket")
	// ErrSocketNotAllowed: this user lacks the permission to connect.
	ErrSocketNotAllowed = errors.New("not allowed to use the socket")
)

// DialError is a failure to reach a server.
type DialError struct {
	Socket string // the path as given
	Reason string // what is wrong and what to do, for people
	Err    error  // wraps ErrNoServer, ErrSocketNotAllowed or ErrSocketPathTooLong, and the system's error
}

func (e *DialError) Error() string {
	return printable.Path(fmt.Sprintf("connect to %s: %s", e.Socket, e.Reason), e.Socket)
}

func (e *DialError) Unwrap() error { return e.Err }

// dialSocket connects to the server at path.
func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	if err := unix.Supported(); err != nil {
		return nil, &DialError{path, err.Error(), fmt.Errorf("%w: %w", ErrNoServer, err)}
	}
	if err := checkSocketPath(path); err != nil {
		return nil, &DialError{path, err.Error(), err}
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socketAddress(path))
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, fs.ErrPermission):
		return nil, &DialError{path, "permission denied: run the command as the program's user",
			fmt.Errorf("%w: %w", ErrSocketNotAllowed, err)}
	default:
		return nil, &DialError{path, whyNoServer(path, err), fmt.Errorf("%w: %w", ErrNoServer, err)}
	}
}

func whyNoServer(path string, err error) string {
	const whereElse = "is the program running, and is this its socket?"
	info, statErr := os.Stat(path)
	switch {
	case errors.Is(statErr, fs.ErrNotExist):
		return "there is no such socket; is the program running, does it call sockserver.Start, and is this its socket?"
	case statErr == nil && info.Mode().Type() != fs.ModeSocket:
		return "it is " + sqlitefile.KindOf(info.Mode()) + ", not a socket; " + whereElse
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing answers at this socket: the program that created it is gone; start it again"
	default:
		return err.Error() + "; " + whereElse
	}
}
