package sockserver

import (
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"hotswap/internal/lognote"
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
	for fd, given := range inheritedNames(count) {
		if given == name {
			found = append(found, fd)
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

// inheritedNames yields the descriptors that the process was started with, and their names.
func inheritedNames(count int) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
		for i := range count {
			name := ""
			if i < len(names) {
				name = names[i]
			}
			if !yield(firstInherited+i, name) {
				return
			}
		}
	}
}

// reportUnserved says which sockets the process was started with, if not both of the
// server's are among them: one with another name is served by nobody, and clients would
// wait at it. A program may have sockets for other purposes, which are most often TCP's.
func reportUnserved(log zerolog.Logger, serves ...*listener) {
	count, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return
	}
	var made []string
	for _, l := range serves {
		if l.lock != nil {
			made = append(made, l.path)
		}
	}
	if len(made) == 0 {
		return
	}
	level, got := zerolog.InfoLevel, []string{}
	for fd, name := range inheritedNames(count) {
		if name == inheritedSocket || name == inheritedStderr {
			continue
		}
		address := addressOf(fd)
		if address == nil {
			continue
		}
		if address.Network() == "unix" {
			level = zerolog.WarnLevel
		}
		got = append(got, fmt.Sprintf("%s (%s)", name, address))
	}
	if len(got) > 0 {
		lognote.Send(log.WithLevel(level).Strs("passed", got).Strs("expected", []string{inheritedSocket, inheritedStderr}).Strs("made", made),
			"the service manager passed sockets that are served by nobody here: those for hotswap need FileDescriptorName=hotswap and FileDescriptorName=hotswap.stderr")
	}
}

// addressOf returns where a descriptor listens; nil if it does not.
func addressOf(fd int) net.Addr {
	duplicate, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	file := os.NewFile(uintptr(duplicate), "")
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		return nil
	}
	defer l.Close()
	return l.Addr()
}
