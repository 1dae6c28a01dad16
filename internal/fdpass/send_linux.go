package fdpass

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// supported reports whether descriptors are passed on this system.
const supported = true

// sendFile sends some of p, with the descriptor of file beside it.
func sendFile(conn *net.UnixConn, file *os.File, p []byte) (int, error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n int
	var sendErr error
	err = raw.Control(func(fd uintptr) {
		widen(int(fd)) // does nothing to what is not a pipe
		n, _, sendErr = conn.WriteMsgUnix(p, unix.UnixRights(int(fd)), nil)
	})
	return n, errors.Join(err, sendErr)
}

// accessOf says what file was opened for; nothing if that can't be told.
func accessOf(file *os.File) access {
	raw, err := file.SyscallConn()
	if err != nil {
		return access{}
	}
	var flags int
	var flagsErr error
	err = raw.Control(func(fd uintptr) { flags, flagsErr = unix.FcntlInt(fd, unix.F_GETFL, 0) })
	if err != nil || flagsErr != nil {
		return access{}
	}
	mode := flags & unix.O_ACCMODE
	return access{read: mode != unix.O_WRONLY, write: mode != unix.O_RDONLY, appends: flags&unix.O_APPEND != 0}
}
