package fdpass

import (
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/sqlitefile"
)

// File is a file that the peer has open, with the peer's rights to it. Its
// methods are for one goroutine at a time, but for Close.
type File struct {
	keeper  *keeper
	fd      int // in the keeper's table; -1 if it is closed there already
	flags   int // fcntl(2), F_GETFL
	stat    unix.Stat_t
	refused *UnusableError // nil if it is a regular file, or a pipe
	pipe    bool           // it is a pipe, named or not
	// bytewise says that the pipe is read and written: nothing is moved within the kernel.
	bytewise bool

	ours   *os.File // the file of ours that oursFD is, in the keeper's table
	oursFD int
}

// newFile examines what came. It runs in the keeper.
func newFile(k *keeper, fds []int, truncated bool) *File {
	f := &File{keeper: k, fd: -1, oursFD: -1}
	if len(fds) != 1 || truncated {
		for _, fd := range fds {
			unix.Close(fd)
		}
		if len(fds) == 0 {
			f.refused = unusable("the descriptor did not arrive: the program has too many files open")
		} else {
			f.refused = unusable("more than one descriptor came with the request")
		}
		return f
	}
	f.fd = fds[0]
	var err error
	if f.flags, err = unix.FcntlInt(uintptr(f.fd), unix.F_GETFL, 0); err == nil {
		err = unix.Fstat(f.fd, &f.stat)
	}
	switch kind := f.stat.Mode & unix.S_IFMT; {
	case err != nil:
		f.refused = unusable("examine the descriptor: %v", err)
	case f.flags&unix.O_PATH != 0:
		f.refused = unusable("the descriptor only names a file (O_PATH) and does not open it")
	case kind == unix.S_IFIFO && f.flags&unix.O_DIRECT != 0:
		f.refused = unusable("the descriptor is of a pipe of packets (O_DIRECT)")
	case kind == unix.S_IFIFO:
		f.pipe = true
	case kind != unix.S_IFREG:
		f.refused = unusable("the descriptor is of %s, not of a regular file or a pipe", sqlitefile.KindOf(sqlitefile.ModeOf(kind)))
	case f.flags&unix.O_DIRECT != 0:
		f.refused = unusable("the descriptor bypasses the page cache (O_DIRECT)")
	}
	if f.refused != nil {
		unix.Close(f.fd)
		f.fd = -1
	}
	return f
}

// Readable returns an *UnusableError unless the peer could read the file.
func (f *File) Readable() error {
	switch {
	case f.refused != nil:
		return f.refused
	case f.flags&unix.O_ACCMODE == unix.O_WRONLY:
		return unusable("the source's descriptor is open for writing only")
	}
	return nil
}

// Writable returns an *UnusableError unless the peer could write to the file, at
// any offset if it is not a pipe.
func (f *File) Writable() error {
	switch {
	case f.refused != nil:
		return f.refused
	case f.flags&unix.O_ACCMODE == unix.O_RDONLY:
		return unusable("the destination's descriptor is open for reading only")
	case f.flags&unix.O_APPEND != 0 && !f.pipe:
		return unusable("the destination's descriptor is open for appending")
	}
	return nil
}

// Same reports whether it is the file that info describes.
func (f *File) Same(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Dev == f.stat.Dev && st.Ino == f.stat.Ino
}

// Source returns the source of a push: a transfer.FileSource, or a transfer.PipeSource.
// Readable must have returned nil. A step that takes longer than limit fails with
// ErrStalled, and a pipe from which nothing comes for so long with ErrPipeStalled.
func (f *File) Source(limit time.Duration) io.Reader {
	if f.pipe {
		return pipeIn{f, limit}
	}
	return copyIn{f, limit}
}

// Dest returns the destination of a pull: a transfer.FileDest, or a transfer.PipeDest.
// Writable must have returned nil. A step that takes longer than limit fails with
// ErrStalled, and a pipe that takes nothing for so long with ErrPipeStalled. digest asks
// for the SHA-256 of what is written.
func (f *File) Dest(limit time.Duration, digest bool) io.Writer {
	if f.pipe {
		return pipeOut{f, limit, digest}
	}
	return copyOut{f, limit, digest}
}

// Close closes the file. It waits until that is done, unless the file system
// does not answer. It does nothing if f is nil or closed.
func (f *File) Close() {
	if f != nil {
		f.keeper.end()
	}
}

// closeKept closes what the keeper has open. It runs there.
func (f *File) closeKept() {
	f.closeOurs()
	if f.fd >= 0 {
		unix.Close(f.fd)
	}
}
