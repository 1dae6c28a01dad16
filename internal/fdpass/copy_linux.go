package fdpass

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/transfer"
)

// copyIn and copyOut are a File as transfer.FileSource and FileDest. Each step
// runs in the keeper.
type (
	copyIn struct {
		*File
		limit time.Duration // for one step
	}
	copyOut struct {
		*File
		limit  time.Duration
		digest bool
	}
)

// copyBuffer is how much is read and written at a time where the kernel can't copy.
const copyBuffer = 256 << 10

var (
	_ transfer.FileSource = copyIn{}
	_ transfer.FileDest   = copyOut{}
)

var errNotAStream = errors.New("a passed file is not read or written as a stream")

func (copyIn) Read([]byte) (int, error)   { return 0, errNotAStream }
func (copyOut) Write([]byte) (int, error) { return 0, errNotAStream }

func (c copyOut) WantsDigest() bool { return c.digest }

func (c copyIn) Size() int64 { return c.stat.Size }

func (c copyIn) CloneTo(ctx context.Context, dst *os.File) (bool, error) {
	return inKeeper(ctx, c.keeper, c.limit, func() (bool, error) {
		fd, err := c.reopen(dst, unix.O_WRONLY)
		if err != nil {
			return false, err
		}
		return unix.IoctlFileClone(fd, c.fd) == nil, nil
	})
}

func (c copyIn) CopyTo(ctx context.Context, dst *os.File, off, n int64) (int64, error) {
	return inKeeper(ctx, c.keeper, c.limit, func() (int64, error) {
		fd, err := c.reopen(dst, unix.O_WRONLY)
		if err != nil {
			return 0, err
		}
		return copyRange(fd, c.fd, off, n)
	})
}

func (c copyIn) Unchanged(ctx context.Context) error {
	now, err := inKeeper(ctx, c.keeper, c.limit, func() (now unix.Stat_t, err error) {
		err = unix.Fstat(c.fd, &now)
		return now, err
	})
	if err != nil {
		return err
	}
	if now.Size != c.stat.Size || now.Mtim != c.stat.Mtim {
		return fmt.Errorf("%w: it had %d bytes and has %d", transfer.ErrSourceChanged, c.stat.Size, now.Size)
	}
	return nil
}

func (c copyOut) CloneFrom(ctx context.Context, src *os.File) (bool, error) {
	return inKeeper(ctx, c.keeper, c.limit, func() (bool, error) {
		fd, err := c.reopen(src, unix.O_RDONLY)
		if err != nil {
			return false, err
		}
		return unix.IoctlFileClone(c.fd, fd) == nil, nil
	})
}

func (c copyOut) CopyFrom(ctx context.Context, src *os.File, off, n int64) (int64, error) {
	return inKeeper(ctx, c.keeper, c.limit, func() (int64, error) {
		fd, err := c.reopen(src, unix.O_RDONLY)
		if err != nil {
			return 0, err
		}
		done, err := copyRange(c.fd, fd, off, n)
		// The client syncs its file: what is on the way by then is not waited for.
		unix.SyncFileRange(c.fd, off, done, unix.SYNC_FILE_RANGE_WRITE)
		return done, err
	})
}

func (c copyOut) Truncate(ctx context.Context, size int64) error {
	_, err := inKeeper(ctx, c.keeper, c.limit, func() (bool, error) { return true, unix.Ftruncate(c.fd, size) })
	return err
}

// reopen opens a file of the process's in the keeper's table, which lacks it.
func (f *File) reopen(ours *os.File, mode int) (int, error) {
	if f.ours == ours {
		return f.oursFD, nil
	}
	raw, err := ours.SyscallConn()
	if err != nil {
		return -1, err
	}
	var fd int
	var openErr error
	err = raw.Control(func(number uintptr) {
		fd, openErr = unix.Open(fmt.Sprintf("/proc/self/fd/%d", number), mode|unix.O_CLOEXEC, 0)
	})
	if err = errors.Join(err, openErr); err != nil {
		return -1, fmt.Errorf("open the staged file again: %w", err)
	}
	f.ours, f.oursFD = ours, fd
	return fd, nil
}

// copyRange copies within the kernel where it can.
func copyRange(dst, src int, off, n int64) (done int64, err error) {
	for done < n {
		from, to := off+done, off+done
		m, err := unix.CopyFileRange(src, &from, dst, &to, int(n-done), 0)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ENOSPC, err == unix.EDQUOT, err == unix.EIO, err == unix.EFBIG:
			return done, os.NewSyscallError("copy_file_range", err)
		case err != nil, m == 0:
			// It can't for these two files, or says nothing of one that is made up
			// as it is read; at the end of a file a read finds nothing, either.
			more, err := copyBytes(dst, src, off+done, n-done)
			return done + more, err
		}
		done += int64(m)
	}
	return done, nil
}

func copyBytes(dst, src int, off, n int64) (done int64, err error) {
	buf := make([]byte, min(n, copyBuffer))
	for done < n {
		m, err := unix.Pread(src, buf[:min(int64(len(buf)), n-done)], off+done)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return done, os.NewSyscallError("read", err)
		}
		if m == 0 {
			break
		}
		for written := 0; written < m; {
			w, err := unix.Pwrite(dst, buf[written:m], off+done+int64(written))
			if err != nil && err != unix.EINTR {
				return done, os.NewSyscallError("write", err)
			}
			written += max(w, 0)
		}
		done += int64(m)
	}
	return done, nil
}
