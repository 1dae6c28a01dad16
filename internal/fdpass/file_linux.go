package fdpass

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/sqlitefile"
	"hotswap/internal/transfer"
)

// File is a file that the peer has open, with the peer's rights to it. Its
// methods are for one goroutine at a time, but for Close.
type File struct {
	keeper  *keeper
	fd      int // in the keeper's table; -1 if it is closed there already
	flags   int // fcntl(2), F_GETFL
	stat    unix.Stat_t
	refused *UnusableError // nil if it is a regular file

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
	case kind != unix.S_IFREG:
		f.refused = unusable("the descriptor is of %s, not of a regular file", sqlitefile.KindOf(sqlitefile.ModeOf(kind)))
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

// Writable returns an *UnusableError unless the peer could write to the file at
// any offset.
func (f *File) Writable() error {
	switch {
	case f.refused != nil:
		return f.refused
	case f.flags&unix.O_ACCMODE == unix.O_RDONLY:
		return unusable("the destination's descriptor is open for reading only")
	case f.flags&unix.O_APPEND != 0:
		return unusable("the destination's descriptor is open for appending")
	}
	return nil
}

// Same reports whether it is the file that info describes.
func (f *File) Same(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Dev == f.stat.Dev && st.Ino == f.stat.Ino
}

// Source returns the file as the source of a push. Readable must have returned
// nil. A step that takes longer than limit fails with ErrStalled.
func (f *File) Source(limit time.Duration) transfer.FileSource { return copyIn{f, limit} }

// Dest returns the file as the destination of a pull. Writable must have
// returned nil. A step that takes longer than limit fails with ErrStalled.
// digest asks for the SHA-256 of what is written.
func (f *File) Dest(limit time.Duration, digest bool) transfer.FileDest {
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
	for _, fd := range []int{f.fd, f.oursFD} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}
