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
	"hotswap/internal/unix"
)

// What a client can find wrong before it is connected; a *DialError is one of
// these, or ErrSocketPathTooLong.
var (
	// ErrNoServer: no server is there, be it that there is no socket, or one
	// that nobody answers.
	ErrNoServer = errors.New("no server there")
	// ErrSocketNotAllowed: the file system keeps this user from the socket.
	ErrSocketNotAllowed = errors.New("not allowed to use the socket")
)

// DialError is a failure to reach a server.
type DialError struct {
	Socket string // the path, as it was given
	Reason string // for people: what is the matter there, and what to do
	Err    error  // ErrNoServer, ErrSocketNotAllowed or ErrSocketPathTooLong, and the system's error
}

func (e *DialError) Error() string {
	return printable.Path(fmt.Sprintf("connect to %s: %s", e.Socket, e.Reason), e.Socket)
}

func (e *DialError) Unwrap() error { return e.Err }

// Elsewhere reports whether the program may have its socket in another place: there
// is none at the path, or none that anybody answers, or that is for commands.
func (e *DialError) Elsewhere() bool {
	return errors.Is(e.Err, ErrNoServer) && !errors.Is(e.Err, os.ErrDeadlineExceeded) && !errors.Is(e.Err, errors.ErrUnsupported)
}

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
		return "there is no such socket; " + whereElse
	case statErr == nil && info.Mode().Type() != fs.ModeSocket:
		return "it is a " + kindOf(info) + ", not a socket; " + whereElse
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody answers at this socket: the program that made it is gone; start it again"
	default:
		return err.Error() + "; " + whereElse
	}
}
