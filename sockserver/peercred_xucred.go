//go:build darwin || freebsd

package sockserver

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerKnown says whether peerOf can tell who the peer is.
const peerKnown = true

const solLocal = 0 // SOL_LOCAL, the level of LOCAL_PEERCRED

func peerOf(conn *net.UnixConn) (peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var cred *unix.Xucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptXucred(int(fd), solLocal, unix.LOCAL_PEERCRED)
	}); err != nil {
		return peer{}, err
	}
	if credErr != nil {
		return peer{}, credErr
	}
	return peer{known: true, uid: cred.Uid, gid: cred.Groups[0]}, nil
}
