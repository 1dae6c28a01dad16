package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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
}

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
	if info, statErr := os.Stat(dstArg); statErr == nil && info.IsDir() {
		if src.stdio() || src.path == stdinPath {
			return src, dst, usagef("%s is a directory, and standard input has no name to give the copy", dstArg)
		}
		dstArg = filepath.Join(dstArg, filepath.Base(src.path))
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
	if len(list) == 0 {
		return f.withHint(`a program manages every database that it opens with sql.Open("sqlite3-hotswap", ...), provided that its directory exists`)
	}
	if word {
		return f.withHint("%q means the file or directory of that name in the current directory; name one of those as SRC or DST", sockserver.TheDatabase)
	}
	return f.withHint("name one of those as SRC or DST")
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
