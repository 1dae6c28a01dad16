package sockserver

import (
	"context"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/transfer"
)

// descriptor is a file that a client has open, with the client's rights to it.
// Its methods, but for close, are for one goroutine; close may be called on nil.
type descriptor struct {
	keeper *keeper
	conn   *serverConn   // the one that it came over
	limit  time.Duration // for one step of copying
	fd     int           // in the keeper's table
	flags  int           // fcntl(2), F_GETFL
	stat   unix.Stat_t
	// refused is why it can't be used; nil if it is a regular file.
	refused *Problem

	stage   *os.File // the file of ours that stageFD is, in the keeper's table
	stageFD int
}

// newDescriptor looks at what came. It runs in the keeper.
func newDescriptor(k *keeper, fds []int, cut bool) *descriptor {
	d := &descriptor{keeper: k, fd: -1, stageFD: -1}
	if len(fds) != 1 || cut {
		for _, fd := range fds {
			unix.Close(fd)
		}
		if len(fds) == 0 {
			d.refused = badDescriptor("the descriptor did not arrive: the program has too many files open")
		} else {
			d.refused = badDescriptor("more than one descriptor came with the request")
		}
		return d
	}
	d.fd = fds[0]
	var err error
	if d.flags, err = unix.FcntlInt(uintptr(d.fd), unix.F_GETFL, 0); err == nil {
		err = unix.Fstat(d.fd, &d.stat)
	}
	switch kind := d.stat.Mode & unix.S_IFMT; {
	case err != nil:
		d.refused = badDescriptor("look at the descriptor: %v", err)
	case d.flags&unix.O_PATH != 0:
		d.refused = badDescriptor("the descriptor only names a file (O_PATH), and does not open it")
	case kind != unix.S_IFREG:
		d.refused = badDescriptor("the descriptor is of %s, not of a regular file", kindOfMode(kind))
	case d.flags&unix.O_DIRECT != 0:
		d.refused = badDescriptor("the descriptor bypasses the page cache (O_DIRECT)")
	}
	if d.refused != nil {
		unix.Close(d.fd)
		d.fd = -1
	}
	return d
}

func kindOfMode(kind uint32) string {
	switch kind {
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFIFO:
		return "a pipe"
	case unix.S_IFSOCK:
		return "a socket"
	case unix.S_IFCHR, unix.S_IFBLK:
		return "a device"
	case unix.S_IFLNK:
		return "a symbolic link"
	default:
		return "something without a type" // an eventfd, and the like
	}
}

// readable refuses a descriptor that its client could not read from.
func (d *descriptor) readable() error {
	switch {
	case d.refused != nil:
		return d.refused
	case d.flags&unix.O_ACCMODE == unix.O_WRONLY:
		return badDescriptor("the source's descriptor is open for writing only")
	}
	return nil
}

// writable refuses a descriptor that its client could not write to.
func (d *descriptor) writable() error {
	switch {
	case d.refused != nil:
		return d.refused
	case d.flags&unix.O_ACCMODE == unix.O_RDONLY:
		return badDescriptor("the destination's descriptor is open for reading only")
	case d.flags&unix.O_APPEND != 0:
		return badDescriptor("the destination's descriptor is open for appending")
	}
	return nil
}

// close closes the descriptor. It waits until that is done, unless the file's
// system does not answer.
func (d *descriptor) close() {
	if d != nil {
		d.keeper.end()
	}
}

// closeKept closes what the keeper has open. It runs there.
func (d *descriptor) closeKept() {
	for _, fd := range []int{d.fd, d.stageFD} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// is reports whether the descriptor is of the file that info describes.
func (d *descriptor) is(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Dev == d.stat.Dev && st.Ino == d.stat.Ino
}

// source and dest are the descriptor as the two sides of the swapper.
func (d *descriptor) source() transfer.FileSource        { return copyIn{d} }
func (d *descriptor) dest(digest bool) transfer.FileDest { return copyOut{d, digest} }

// watch returns a context that ends when the client leaves, until stop. net/http
// notices that only once the body is read, and this one is not asked for.
func (d *descriptor) watch(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if d.conn.peerLeaves() {
			cancel()
		}
	}()
	return ctx, func() {
		d.conn.SetReadDeadline(time.Unix(1, 0))
		<-done
		d.conn.SetReadDeadline(time.Time{})
		cancel()
	}
}
