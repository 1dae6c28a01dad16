package sockserver

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"
)

// headerDescriptor announces that a regular file's descriptor comes with the
// first bytes of the connection, and of this request: the source of a push, or
// where a pull goes. Its value is one of these. In the answer to a pull it says
// that the file was filled, and the body is empty.
//
// It is no more than an announcement. What is used is what came over the same
// connection, which no header can name; a server that got nothing, or that
// knows nothing of this, asks for the body or sends one.
const (
	headerDescriptor = "Hotswap-Descriptor"
	descriptorSource = "source"
	descriptorDest   = "destination"
	descriptorFilled = "filled"
)

// connKey is of the request's connection.
type connKey struct{}

// takeDescriptor returns what came with the request, or nil. The caller closes
// it: a descriptor lives no longer than its request.
func takeDescriptor(ctx context.Context) *descriptor {
	conn, ok := ctx.Value(connKey{}).(*serverConn)
	if !ok {
		return nil
	}
	return conn.take()
}

// bound sets how long one step of copying may take.
func (d *descriptor) bound(limit time.Duration) {
	if d != nil {
		d.limit = limit
	}
}

// checkAnnounced refuses a descriptor that its request does not speak of.
func (d *descriptor) checkAnnounced(r *http.Request, verb string) error {
	want := map[string]string{verbPush: descriptorSource, verbPull: descriptorDest}[verb]
	announced := r.Header.Get(headerDescriptor)
	switch {
	case announced != "" && want == "":
		return badRequest("header %s: %s takes no descriptor", headerDescriptor, r.URL.Path)
	case announced != "" && announced != want:
		return badRequest("header %s: %q is not %q", headerDescriptor, announced, want)
	case announced == "" && d != nil:
		return badDescriptor("a descriptor came with the request, and no %s header", headerDescriptor)
	}
	return nil
}

// refuseManaged refuses the descriptor of a live database: a copy past SQLite's
// locks and its -wal would be torn, and a write would tear the database.
func (a *api) refuseManaged(d *descriptor, side, hint string) error {
	list, err := a.listManaged()
	if err != nil {
		return err
	}
	for _, m := range list {
		if info, err := os.Stat(m.path); err == nil && d.is(info) {
			p := badDescriptor("the %s's descriptor is of %s, a live database", side, m.path)
			p.Hint = hint
			return p
		}
	}
	return nil
}

// badDescriptor is the problem of a descriptor that can't be used.
func badDescriptor(format string, args ...any) *Problem {
	return &Problem{
		Type:   ProblemDescriptor,
		Title:  "the descriptor can't be used",
		Status: http.StatusBadRequest,
		Detail: fmt.Sprintf(format, args...),
		Hint:   "pass one open descriptor of a regular file, or send the bytes as the body",
		Exit:   exitFailed,
	}
}
