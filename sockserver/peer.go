package sockserver

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
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
	refusalKey struct{} // of the *Problem of a peer that may not come in
)

// admit puts the peer of a new connection into its context, with the refusal
// if it is not to be served: the HTTP answer is where it can be said clearly.
func (c Config) admit(ctx context.Context, conn net.Conn) context.Context {
	below, ok := unixConn(conn)
	if !ok {
		return ctx
	}
	ctx = context.WithValue(ctx, connKey{}, conn)
	peer, err := peerOf(below)
	if err != nil {
		return context.WithValue(ctx, refusalKey{}, notAllowed(fmt.Sprintf("the peer's user is unknown: %v", err)))
	}
	ctx = context.WithValue(ctx, peerKey{}, peer)
	if !c.allows(peer) {
		ctx = context.WithValue(ctx, refusalKey{}, notAllowed(fmt.Sprintf(
			"user %d may not use this socket: it is for user %d", peer.uid, os.Geteuid())))
	}
	return ctx
}

// allows is the rule. Where the system does not tell who the peer is, the
// socket's mode 0600 is the rule; Start refuses AllowUIDs and AllowGIDs there.
func (c Config) allows(p peer) bool {
	return !p.known ||
		p.uid == 0 ||
		p.uid == uint32(os.Geteuid()) ||
		slices.Contains(c.AllowUIDs, p.uid) ||
		slices.Contains(c.AllowGIDs, p.gid)
}

func notAllowed(detail string) *Problem {
	return &Problem{
		Type:   ProblemNotAllowed,
		Title:  "not allowed",
		Status: http.StatusForbidden,
		Detail: detail,
		Hint:   "run the command as that user, or let this one in with Config.AllowUIDs",
		Exit:   exitNotAllowed,
	}
}
