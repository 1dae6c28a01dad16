package sockserver

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"

	"hotswap/internal/fdpass"
)

// peer is the process at the other end of a socket, as it was when it connected.
type peer struct {
	known    bool // false where the system does not tell
	uid, gid uint32
	pid      int    // 0 where the system does not tell
	command  string // the process's name; empty where the system does not tell
}

type (
	peerKey    struct{} // of the request's peer
	refusalKey struct{} // of the *Problem of a peer that is not admitted
)

// admit returns the peer of a new connection, with a refusal if it is not to be
// served: the answer to its request can say so clearly.
func (c Config) admit(conn net.Conn) (p peer, refusal *Problem) {
	below, ok := conn.(*fdpass.Conn)
	if !ok {
		return peer{}, nil
	}
	p, err := peerOf(below.UnixConn)
	if err != nil {
		return peer{}, notAllowed(fmt.Sprintf("the peer's user is unknown: %v", err))
	}
	if !c.allows(p) {
		return p, notAllowed(fmt.Sprintf("user %d may not use this socket: it is for user %d", p.uid, os.Geteuid()))
	}
	return p, nil
}

// ours reports whether the peer is of the process's own user, or of root; where
// the system does not tell, everybody is.
func (p peer) ours() bool {
	return !p.known || p.uid == 0 || p.uid == uint32(os.Geteuid())
}

// allows reports whether p is admitted. Where the system does not tell who the peer is, the
// socket's mode 0600 is the rule; Start refuses AllowUIDs and AllowGIDs there.
func (c Config) allows(p peer) bool {
	return p.ours() ||
		slices.Contains(c.AllowUIDs, p.uid) ||
		slices.Contains(c.AllowGIDs, p.gid)
}

func notAllowed(detail string) *Problem {
	return &Problem{
		Type:   ProblemNotAllowed,
		Title:  "not allowed",
		Status: http.StatusForbidden,
		Detail: detail,
		Hint:   "run the command as that user, or allow this one with Config.AllowUIDs",
	}
}
