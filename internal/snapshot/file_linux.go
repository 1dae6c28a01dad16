package snapshot

import (
	"context"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"hotswap/internal/transfer"
)

// descriptor is one that SQLite has open. It is read at offsets, and never closed: to
// close any descriptor of a database file drops all locks that the process has on it
// (https://www.sqlite.org/howtocorrupt.html, section 2.2).
type descriptor int

func (d descriptor) SyscallConn() (syscall.RawConn, error) { return d, nil }

func (d descriptor) Control(f func(fd uintptr)) error {
	f(uintptr(d))
	return nil
}

func (d descriptor) Read(func(fd uintptr) bool) error  { return unix.EOPNOTSUPP }
func (d descriptor) Write(func(fd uintptr) bool) error { return unix.EOPNOTSUPP }

func (d descriptor) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		m, err := unix.Pread(int(d), p[n:], off+int64(n))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return n, os.NewSyscallError("read", err)
		case m == 0:
			return n, io.EOF
		default:
			n += m
		}
	}
	return n, nil
}

// checkFile makes sure that a descriptor is of the file at path, which the connection
// has open: where the number was found is no promise of SQLite's.
func checkFile(fd int, path string) error {
	var open, there unix.Stat_t
	switch {
	case fd < 0 || unix.Fstat(fd, &open) != nil:
		return unable("SQLite does not tell its descriptor")
	case unix.Lstat(path, &there) != nil || open.Dev != there.Dev || open.Ino != there.Ino || open.Mode&unix.S_IFMT != unix.S_IFREG:
		return unable("the file that SQLite has open is not at " + path)
	}
	return nil
}

// file is a Dest of the process's own.
type file struct{ *os.File }

// File returns an empty file that the process has open as a Dest.
func File(f *os.File) Dest { return file{f} }

func (f file) CloneFrom(_ context.Context, src syscall.Conn) (cloned bool, err error) {
	err = f.with(src, func(dst, src int) { cloned = unix.IoctlFileClone(dst, src) == nil })
	return cloned, err
}

func (f file) CopyFrom(ctx context.Context, src syscall.Conn, off, n int64) (done int64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	var copyErr error
	err = f.with(src, func(dst, src int) { done, copyErr = transfer.CopyRange(dst, src, off, n) })
	if err == nil {
		err = copyErr
	}
	return done, err
}

func (f file) Patch(_ context.Context, pieces []transfer.Piece) (err error) {
	controlErr := control(f.File, func(fd int) { err = transfer.Patch(fd, pieces) })
	if err == nil {
		err = controlErr
	}
	return err
}

func (f file) Truncate(_ context.Context, size int64) error { return f.File.Truncate(size) }

func (f file) with(src syscall.Conn, do func(dst, src int)) error {
	var inner error
	err := control(f.File, func(dst int) {
		inner = control(src, func(src int) { do(dst, src) })
	})
	if err == nil {
		err = inner
	}
	return err
}

func control(c syscall.Conn, do func(fd int)) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { do(int(fd)) })
}
