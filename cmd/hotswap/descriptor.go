package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"hotswap/internal/dbpath"
	"hotswap/internal/unix"
)

// Links in /proc lead to what a process has open, be that a pipe, a socket, or a file
// without a name any more, and not to what their text says: that is no path to put a
// file at.

// ownDescriptor returns the number of the descriptor of this process that a path means,
// like /dev/fd/7 and /dev/stdout, and what links to those.
func ownDescriptor(path string) (fd int, is bool) {
	if !filepath.IsAbs(path) {
		wd, err := os.Getwd()
		if err != nil {
			return 0, false
		}
		path = wd + "/" + path
	}
	for range 40 { // as many links as Linux follows
		dir, base := filepath.Split(path)
		dir, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return 0, false
		}
		if n, err := strconv.Atoi(base); err == nil && n >= 0 && holdsOwnDescriptors(dir) {
			return n, true
		}
		if path, err = os.Readlink(filepath.Join(dir, base)); err != nil {
			return 0, false
		}
		if !filepath.IsAbs(path) {
			path = dir + "/" + path
		}
	}
	return 0, false
}

// holdsOwnDescriptors reports whether a directory, links resolved, is the one of this
// process's descriptors.
func holdsOwnDescriptors(dir string) bool {
	rest, in := strings.CutPrefix(dir, "/proc/"+strconv.Itoa(os.Getpid()))
	return dir == "/dev/fd" || in && (rest == "/fd" || strings.HasPrefix(rest, "/task/") && filepath.Base(rest) == "fd")
}

// useStdio makes other names of standard input and output "-". But standard input that is
// a file, by whichever of its names, is read like one, with what is beside it.
func (c *cpCmd) useStdio() {
	if fd, is := ownDescriptor(c.Dst); is && fd == 1 {
		c.Dst = stdioName
	}
	if fd, is := ownDescriptor(c.Src); is && fd == 0 {
		if info, err := os.Stat(c.Src); err != nil || !info.Mode().IsRegular() {
			c.Src = stdioName
		}
	}
	if c.Src == stdioName && stdinIsAFile() {
		c.Src = stdinPath
	}
}

const stdinPath = "/dev/stdin"

// stdinIsAFile reports whether standard input is a file from its beginning, and one that
// may be opened anew.
func stdinIsAFile() bool {
	info, err := os.Stdin.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	if at, err := os.Stdin.Seek(0, io.SeekCurrent); err != nil || at != 0 {
		return false
	}
	anew, err := os.Open(stdinPath)
	if err != nil {
		return false
	}
	defer anew.Close()
	there, err := anew.Stat()
	return err == nil && os.SameFile(info, there)
}

// openDescriptor returns a file of a descriptor with which the command was started.
func openDescriptor(arg string, fd int) (*os.File, error) {
	// What the command has opened itself is closed on exec, and so was not inherited.
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
		return nil, usagef("%s: the command was started without a descriptor %d", arg, fd).
			withHint("have the shell open one, as in `hotswap cp SRC /dev/fd/%d %d> copy.sqlite3`, or name a file", fd, fd)
	}
	copied, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fileFailure(fmt.Errorf("open %s: %w", arg, err))
	}
	return os.NewFile(uintptr(copied), arg), nil
}

// errNameless: what a path leads to can't be reached by the path that its links say.
var errNameless = errors.New("it has been deleted, or is in another mount namespace, and has no name here")

// realName is dbpath.Real, of what has a name.
func realName(path string) (string, error) {
	real, err := dbpath.Real(path)
	if err != nil {
		return "", err
	}
	for range 100 { // another command may replace it between the two looks
		info, err := os.Stat(path)
		if err != nil {
			return real, nil // not there
		}
		if named, err := os.Lstat(real); err == nil && os.SameFile(info, named) {
			return real, nil
		}
	}
	return "", &fs.PathError{Op: "find", Path: path, Err: errNameless}
}
