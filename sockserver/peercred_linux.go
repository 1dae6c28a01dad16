package sockserver

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerKnown says whether peerOf can tell who the peer is.
const peerKnown = true

func peerOf(conn *net.UnixConn) (peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return peer{}, err
	}
	if credErr != nil {
		return peer{}, credErr
	}
	return peer{known: true, uid: cred.Uid, gid: cred.Gid, pid: int(cred.Pid)}, nil
}
