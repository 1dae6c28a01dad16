package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"hotswap/internal/openers"
	"hotswap/internal/printable"
	"hotswap/sockserver"
)

// stdioName names standard input as SRC and standard output as DST. So do
// /dev/stdin and /dev/stdout (cpCmd.useStdio).
const stdioName = "-"

// side is SRC or DST.
type side struct {
	arg     string // as it was given, for messages
	path    string // of a managed database, the program's own name for it
	managed bool
	program *endpoint   // which manages it; nil: none
	mode    fs.FileMode // of a database on another machine, if it is known
}

// name is what to call it in messages: of a managed database, the program's name for it.
func (s side) name() string { return s.host() + s.path }

func (s side) stdio() bool { return !s.managed && s.path == stdioName }

// replaceable reports whether what is there would be replaced by a file, or nothing
// is there: standard output, a device and a pipe are written to.
func (s side) replaceable() bool {
	if s.stdio() {
		return false
	}
	if _, is := ownDescriptor(s.path); is {
		return false
	}
	info, err := os.Stat(s.path)
	return err != nil || info.Mode().IsRegular() || info.IsDir()
}

// locateSides finds out which side is managed, and refuses what makes no sense.
func locateSides(srcArg, dstArg string, list []sockserver.DatabaseInfo) (src, dst side, err error) {
	word := srcArg == sockserver.TheDatabase || dstArg == sockserver.TheDatabase
	src, err = locate(srcArg, list)
	if err != nil {
		return src, dst, err
	}
	if dstArg, err = inDirectory(dstArg, src); err != nil {
		return src, dst, err
	}
	dst, err = locate(dstArg, list)
	if err != nil {
		return src, dst, err
	}
	switch {
	case !src.managed && !dst.managed:
		return src, dst, neitherManaged(src, dst, word, list)
	case src.managed && dst.managed && src.path == dst.path:
		return src, dst, usagef("%s and %s are the same database", src.arg, dst.arg)
	default:
		return src, dst, nil
	}
}

// findSides finds out what the two sides are, and reaches their programs. list has the
// databases of this machine's, if there is one.
func (c *cpCmd) findSides(ctx context.Context, still *stillness) (src, dst side, list []sockserver.DatabaseInfo, err error) {
	from, err := parseAddress(c.Src)
	if err != nil {
		return src, dst, nil, err
	}
	to, err := parseAddress(c.Dst)
	if err != nil {
		return src, dst, nil, err
	}
	if !from.remote() && !to.remote() {
		here, err := c.find(ctx, still, c.Src, c.Dst)
		if err != nil {
			return src, dst, nil, err
		}
		c.programs = append(c.programs, here)
		src, dst, err = locateSides(c.Src, c.Dst, here.list)
		src.program, dst.program = here, here
		for _, s := range []*side{&src, &dst} {
			if err == nil && !s.managed && !s.stdio() && !c.pinned() {
				c.findOther(ctx, s)
			}
		}
		return src, dst, here.list, err
	}
	var here *endpoint
	for _, a := range []address{from, to} {
		if a.remote() || a.path == stdioName {
			continue
		}
		// --socket names one of the other machine's. Here there need not be any.
		if here, err = (sockets{}).find(ctx, still, a.path); err == nil {
			c.programs = append(c.programs, here)
			list = here.list
		} else if _, away := errors.AsType[*sockserver.DialError](err); !away {
			return src, dst, nil, err
		}
	}
	locateHere := func(path string) (side, error) {
		s, err := locate(path, list)
		s.program = here
		return s, err
	}
	if from.remote() {
		src, err = c.remoteSide(ctx, still, from, "")
	} else {
		src, err = locateHere(c.Src)
	}
	if err != nil {
		return src, dst, nil, err
	}
	if to.remote() {
		dst, err = c.remoteSide(ctx, still, to, src.base())
	} else if path, dirErr := inDirectory(c.Dst, src); dirErr != nil {
		err = dirErr
	} else {
		dst, err = locateHere(path)
	}
	if err == nil && src.managed && dst.managed && src.path == dst.path && src.program.client.SocketPath() == dst.program.client.SocketPath() {
		err = usagef("%s and %s are the same database", src.arg, dst.arg)
	}
	return src, dst, list, err
}

// findOther finds a second program of this machine, if one near a side manages it.
func (c *cpCmd) findOther(ctx context.Context, s *side) {
	for _, socket := range c.sockets.sockets(s.path) {
		if socket == s.program.client.SocketPath() {
			continue
		}
		p := c.at(socket)
		list, err := p.client.Databases(ctx, "")
		if err == nil && manages(list, s.path) {
			c.programs = append(c.programs, p)
			*s, _ = locate(s.path, list)
			s.program = p
			return
		}
		p.close()
	}
}

// leave lets go of the programs, and says what became of the way to one.
func (c *cpCmd) leave(err error) error {
	for _, p := range c.programs {
		err = p.leave(err)
	}
	return err
}

// inDirectory is the file in dst, if that is a directory, that a copy of src becomes.
func inDirectory(dst string, src side) (string, error) {
	info, err := os.Stat(dst)
	switch {
	case err != nil || !info.IsDir():
		return dst, nil
	case src.base() == "":
		return "", usagef("%s is a directory, and standard input has no name to give the copy", dst)
	default:
		return filepath.Join(dst, src.base()), nil
	}
}

// base is the name that a copy gets in a directory; "" for none.
func (s side) base() string {
	switch {
	case s.stdio() || s.path == stdinPath:
		return ""
	case s.host() != "":
		// As it was asked for: a machine is not to choose what is overwritten here.
		asked, _ := parseAddress(s.arg)
		return path.Base(asked.path)
	default:
		return filepath.Base(s.path)
	}
}

// host is the machine of a managed database, and a colon; "" for this machine.
func (s side) host() string {
	if s.managed && s.program.far() {
		return s.program.link.to.host + ":"
	}
	return ""
}

// statusCommand shows the state of the program that manages s.
func (s side) statusCommand() string {
	if s.host() == "" {
		return "hotswap status"
	}
	return "hotswap status " + shellWord(s.name())
}

// locate resolves one argument in this process's working directory.
func locate(arg string, list []sockserver.DatabaseInfo) (side, error) {
	if arg == stdioName {
		return side{arg: arg, path: stdioName}, nil
	}
	if arg == sockserver.TheDatabase {
		// The word means the only managed database, but not in the way of a
		// file that is really called so.
		if _, err := os.Lstat(arg); errors.Is(err, fs.ErrNotExist) {
			return onlyManaged(list)
		}
	}
	real, err := realName(arg)
	if err != nil {
		return side{arg: arg, path: arg}, nil // opening it will fail, and say why
	}
	for _, db := range list {
		if db.Path == real {
			return side{arg: arg, path: db.Path, managed: true}, nil
		}
	}
	// Another name for the same file: a hard link, or a directory that is
	// mounted twice.
	if info, err := os.Stat(real); err == nil {
		for _, db := range list {
			if live, err := os.Stat(db.Path); err == nil && os.SameFile(info, live) {
				return side{arg: arg, path: db.Path, managed: true}, nil
			}
		}
	}
	return side{arg: arg, path: arg}, nil
}

func onlyManaged(list []sockserver.DatabaseInfo) (side, error) {
	if len(list) != 1 {
		return side{}, usagef("%q stands for the only managed database, and the program manages %s",
			sockserver.TheDatabase, listed(list))
	}
	return side{arg: sockserver.TheDatabase, path: list[0].Path, managed: true}, nil
}

// neitherManaged refuses two files; word is set if one of them is so called as
// the word that stands for the only managed database.
func neitherManaged(src, dst side, word bool, list []sockserver.DatabaseInfo) error {
	f := usagef("neither %s nor %s is a managed database; the program manages %s", src.arg, dst.arg, listed(list))
	if hint := openOtherwise(src, dst); hint != "" {
		return f.withHint("%s", hint)
	}
	if len(list) == 0 {
		return f.withHint("%s", whatIsManaged)
	}
	if word {
		return f.withHint("%q means the file or directory of that name in the current directory; name one of those as SRC or DST", sockserver.TheDatabase)
	}
	return f.withHint("name one of those as SRC or DST")
}

// openOtherwise is a hint to whoever thinks that the program manages what it has open; "" if
// nothing has.
func openOtherwise(sides ...side) string {
	for _, s := range sides {
		if others := openers.At(s.path); len(others) > 0 {
			return fmt.Sprintf("%s is open in %s: if that is the program, it opens it by another driver than \"sqlite3-hotswap\", and docs/libraries.md says how each library opens it by this one",
				printable.Line(s.arg), others[0])
		}
	}
	return ""
}

func listed(list []sockserver.DatabaseInfo) string {
	if len(list) == 0 {
		return "none"
	}
	paths := make([]string, len(list))
	for i, db := range list {
		paths[i] = printable.Line(db.Path)
	}
	return strings.Join(paths, ", ")
}
