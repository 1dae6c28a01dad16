package sockserver

import (
	"context"
	"errors"
	"net/http"
	"os"

	"hotswap/internal/door"
	"hotswap/internal/fdpass"
	"hotswap/internal/printable"
	"hotswap/internal/sqlitefile"
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

// connOf returns the connection of a request to a [Server]; nil for [Handler].
func connOf(ctx context.Context) *fdpass.Conn {
	conn, _ := ctx.Value(connKey{}).(*fdpass.Conn)
	return conn
}

// takeDescriptor returns what came with the request, or nil. The caller closes
// it: a descriptor lives no longer than its request.
func takeDescriptor(ctx context.Context) *fdpass.File {
	conn := connOf(ctx)
	if conn == nil {
		return nil
	}
	return conn.Take()
}

// checkAnnounced refuses a descriptor that its request does not speak of.
func checkAnnounced(d *fdpass.File, r *http.Request, verb string) error {
	want := map[string]string{verbPush: descriptorSource, verbPull: descriptorDest}[verb]
	announced := r.Header.Get(headerDescriptor)
	switch {
	case announced != "" && want == "":
		return badRequest("header %s: %s takes no descriptor", headerDescriptor, r.URL.Path)
	case announced != "" && announced != want:
		return badRequest("header %s: %q is not %q", headerDescriptor, announced, want)
	case announced == "" && d != nil:
		return &fdpass.UnusableError{Reason: "a descriptor came with the request, but no " + headerDescriptor + " header"}
	}
	return nil
}

// refuseManaged refuses the descriptor of a live database, of any that the program has
// open, and of what SQLite has beside it: a copy past SQLite's locks and its -wal would be
// torn, and a write would tear the database.
func (a *api) refuseManaged(d *fdpass.File, side, hint string) error {
	list, err := a.listManaged()
	if err != nil {
		return err
	}
	paths := door.Paths()
	for _, m := range list {
		paths = append(paths, m.path)
	}
	for _, path := range paths {
		for _, suffix := range append([]string{""}, sqlitefile.Sidecars[:]...) {
			info, err := os.Stat(path + suffix)
			if err != nil || !d.Same(info) {
				continue
			}
			what := ", a live database"
			if suffix != "" {
				what = ", which belongs to a live database"
			}
			p := newProblem(&fdpass.UnusableError{Reason: "the " + side + "'s descriptor is of " + printable.Line(path+suffix) + what}, "")
			p.Hint = hint
			return p
		}
	}
	return nil
}

func isUnusable(err error) bool {
	_, ok := errors.AsType[*fdpass.UnusableError](err)
	return ok
}
