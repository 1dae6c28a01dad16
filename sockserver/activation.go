package sockserver

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"hotswap/internal/unix"
)

// The names by which a service manager hands over the sockets: FileDescriptorName=
// in a systemd.socket unit.
const (
	inheritedSocket = "hotswap"
	inheritedStderr = "hotswap.stderr"
)

// firstInherited is the first descriptor that a service manager passes, as
// sd_listen_fds(3) has it.
const firstInherited = 3

// inherited returns the listening socket that the process was started with
// under name, or nil. The environment is not changed: its LISTEN_PID tells a
// child that nothing of it is meant for it, and a server that was closed can be
// started again.
func inherited(name string) (*listener, error) {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	count, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || count < 0 {
		return nil, fmt.Errorf("take over the socket %s: LISTEN_FDS is %q, not a number", name, os.Getenv("LISTEN_FDS"))
	}
	var found []int
	for i, given := range strings.Split(os.Getenv("LISTEN_FDNAMES"), ":") {
		if given == name && i < count {
			found = append(found, firstInherited+i)
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		l, err := takeOver(found[0], name)
		if err != nil {
			return nil, fmt.Errorf("take over the socket %s, descriptor %d: %w", name, found[0], err)
		}
		return l, nil
	default:
		return nil, fmt.Errorf("take over the socket %s: LISTEN_FDNAMES has %d of that name; a server has one", name, len(found))
	}
}

// takeOver makes a listener of a descriptor, which stays open: the service
// manager has it, too, and the socket is its own to bind and to unlink.
func takeOver(fd int, name string) (*listener, error) {
	unix.CloseOnExec(fd)
	duplicate, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(duplicate), name)
	defer file.Close()
	inner, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	unixListener, ok := inner.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("it listens on %s and is not a Unix socket", inner.Addr()), inner.Close())
	}
	return newListener(unixListener, unixListener.Addr().String()), nil
}

// listenOn takes over the inherited socket of that name, or makes one at path.
func listenOn(name, path string, open bool) (*listener, error) {
	if l, err := inherited(name); l != nil || err != nil {
		return l, err
	}
	return listen(path, open)
}
