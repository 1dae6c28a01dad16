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
		n, _, sendErr = conn.WriteMsgUnix(p, unix.UnixRights(int(fd)), nil)
	})
	return n, errors.Join(err, sendErr)
}

func appends(file *os.File) bool {
	raw, err := file.SyscallConn()
	if err != nil {
		return true
	}
	var flags int
	var flagsErr error
	err = raw.Control(func(fd uintptr) { flags, flagsErr = unix.FcntlInt(fd, unix.F_GETFL, 0) })
	return err != nil || flagsErr != nil || flags&unix.O_APPEND != 0
}
