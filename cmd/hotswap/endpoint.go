package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"hotswap/internal/dbpath"
	"hotswap/internal/printable"
	"hotswap/internal/unix"
	"hotswap/sockserver"
)

// endpoint is a program that serves a socket, and the way to it.
type endpoint struct {
	client *sockserver.Client
	list   []sockserver.DatabaseInfo
	link   *link // nil: it runs on this machine
	close  func()
}

func (p *endpoint) far() bool { return p != nil && p.link != nil }

// pinned reports whether it is said which socket to use.
func (s sockets) pinned() bool { return s.Socket != "" || os.Getenv(sockserver.EnvSocket) != "" }

// at is the client of a socket.
func (s sockets) at(socket string) *endpoint {
	s.Socket = socket
	client := s.client()
	return &endpoint{client: client, close: client.Close}
}

// nearest is the program of the working directory, or of one above it.
func (s sockets) nearest() *endpoint {
	if !s.pinned() {
		if found := s.sockets("."); len(found) > 0 {
			return s.at(found[0])
		}
	}
	return s.at(s.Socket)
}

// find returns the program that manages one of the paths; or else the first one of those
// near them, and near the working directory, that answers. still may be nil.
func (s sockets) find(ctx context.Context, still *stillness, paths ...string) (*endpoint, error) {
	found := []string{s.Socket}
	if !s.pinned() {
		if found = s.sockets(append([]string{"."}, paths...)...); len(found) == 0 {
			found = []string{""} // for what it says
		}
	}
	nowhere := !s.pinned() && found[0] == ""
	var first *endpoint
	var firstErr error
	for _, socket := range found {
		p := s.at(socket)
		still.asks(p)
		var err error
		if p.list, err = p.client.Databases(ctx, ""); err != nil {
			p.close()
			if firstErr == nil {
				firstErr = err
			}
			if ctx.Err() != nil {
				break
			}
			continue
		}
		if slices.ContainsFunc(paths, func(path string) bool { return manages(p.list, path) }) {
			return p, nil
		}
		if first != nil {
			p.close()
		} else {
			first = p
		}
	}
	switch {
	case first == nil && nowhere:
		return nil, errNoSocketIn(firstErr, paths)
	case first == nil:
		return nil, firstErr
	}
	still.asks(first)
	return first, nil
}

// errNoSocketIn adds to the failure to reach a socket where none was.
func errNoSocketIn(err error, paths []string) error {
	var dirs []string
	for _, path := range append([]string{"."}, paths...) {
		dir := realOr(path)
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			dir = filepath.Dir(dir)
		}
		if dir = printable.Line(dir); filepath.IsAbs(dir) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return &failure{code: exitCode(err), err: err, hint: "looked for it in " + strings.Join(dirs, " and ") +
		", and in the directories above; if the program runs elsewhere, name its socket with --socket or $" + sockserver.EnvSocket}
}

func manages(list []sockserver.DatabaseInfo, path string) bool {
	found, err := locate(path, list)
	return err == nil && found.managed
}

// sockets lists those with the default name in the paths' directories, and in those
// above. Above a path may be a directory that anybody may write to, such as /tmp: a
// socket counts only if it belongs to this user, to root, or to the owner of what is at
// the path, who can read and write that anyway.
func (s sockets) sockets(paths ...string) (found []string) {
	standard := filepath.FromSlash(sockserver.DefaultSocketPath)
	if _, err := os.Lstat(standard); err == nil {
		found = append(found, standard) // whatever is there: it was always taken
	}
	here, _ := os.Getwd()
	var seen []string
	for _, path := range paths {
		abs, err := filepath.Abs(path)
		if err != nil {
			continue
		}
		for _, start := range []string{abs, realOr(abs)} {
			trusted := []uint32{0, uint32(os.Geteuid())}
			if owner, ok := nearestOwner(start); ok {
				trusted = append(trusted, owner)
			}
			for dir := start; ; dir = filepath.Dir(dir) {
				socket := filepath.Join(dir, standard)
				if dir != here && !slices.Contains(seen, socket) {
					seen = append(seen, socket)
					if owner, is := ownerOf(socket); is && slices.Contains(trusted, owner) {
						found = append(found, shortest(here, socket))
					}
				}
				if dir == filepath.Dir(dir) {
					break
				}
			}
		}
	}
	return found
}

func realOr(path string) string {
	if real, err := dbpath.Real(path); err == nil {
		return real
	}
	return path
}

// nearestOwner is the owner of what is at a path, or of the first directory above it
// that exists.
func nearestOwner(path string) (uid uint32, ok bool) {
	for {
		if uid, ok = ownerOf(path); ok || path == filepath.Dir(path) {
			return uid, ok
		}
		path = filepath.Dir(path)
	}
}

func ownerOf(path string) (uid uint32, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	if stat, is := info.Sys().(*unix.FileStat); is {
		uid = stat.Uid
	}
	return uid, true
}

// shortest names a socket, whose address has little room, as seen from the working
// directory, if it is too long otherwise.
func shortest(here, socket string) string {
	if rel, err := filepath.Rel(here, socket); err == nil && len(socket) > 100 && len(rel) < len(socket) {
		return rel
	}
	return socket
}

// leave lets go of the program. If the way to it has ended by itself, err says so.
func (p *endpoint) leave(err error) error {
	if p.far() && (errors.Is(err, sockserver.ErrConnectionLost) || errors.Is(err, sockserver.ErrIncomplete)) {
		err = p.link.lost(err)
	}
	p.close()
	return err
}
