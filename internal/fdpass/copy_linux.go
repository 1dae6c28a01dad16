package fdpass

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
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

var (
	_ transfer.FileSource = copyIn{}
	_ transfer.FileDest   = copyOut{}
)

var errNotAStream = errors.New("a passed file is not read or written as a stream")

func (copyIn) Read([]byte) (int, error)   { return 0, errNotAStream }
func (copyOut) Write([]byte) (int, error) { return 0, errNotAStream }

func (c copyOut) WantsDigest() bool { return c.digest }

func (c copyOut) Beside(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Dev == c.stat.Dev
}

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
		return transfer.CopyRange(fd, c.fd, off, n)
	})
}

func (c copyIn) Unchanged(ctx context.Context) error {
	now, err := inKeeper(ctx, c.keeper, c.limit, func() (now unix.Stat_t, err error) {
		c.closeOurs()
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

func (c copyOut) CloneFrom(ctx context.Context, src syscall.Conn) (bool, error) {
	return inKeeper(ctx, c.keeper, c.limit, func() (bool, error) {
		fd, err := openHere(src, unix.O_RDONLY)
		if err != nil {
			return false, err
		}
		defer unix.Close(fd)
		return unix.IoctlFileClone(c.fd, fd) == nil, nil
	})
}

// CopyFrom has src open for as long as it copies and no longer: it may be a live
// database's file, of which nothing must be open when the caller lets go of it.
func (c copyOut) CopyFrom(ctx context.Context, src syscall.Conn, off, n int64) (int64, error) {
	return inKeeper(ctx, c.keeper, c.limit, func() (int64, error) {
		fd, err := openHere(src, unix.O_RDONLY)
		if err != nil {
			return 0, err
		}
		defer unix.Close(fd)
		done, err := transfer.CopyRange(c.fd, fd, off, n)
		// The client syncs its file: what is on the way by then is not waited for.
		unix.SyncFileRange(c.fd, off, done, unix.SYNC_FILE_RANGE_WRITE)
		return done, err
	})
}

func (c copyOut) Patch(ctx context.Context, pieces []transfer.Piece) error {
	_, err := inKeeper(ctx, c.keeper, c.limit, func() (bool, error) { return true, transfer.Patch(c.fd, pieces) })
	return err
}

func (c copyOut) Truncate(ctx context.Context, size int64) error {
	_, err := inKeeper(ctx, c.keeper, c.limit, func() (bool, error) { return true, unix.Ftruncate(c.fd, size) })
	return err
}

// reopen is openHere for a file that stays open until closeOurs, or with f.
func (f *File) reopen(ours *os.File, mode int) (int, error) {
	if f.ours == ours {
		return f.oursFD, nil
	}
	f.closeOurs()
	fd, err := openHere(ours, mode)
	if err != nil {
		return -1, err
	}
	f.ours, f.oursFD = ours, fd
	return fd, nil
}

// closeOurs closes it: the stage of a push is to be open nowhere else by the time that it
// goes live, or there is no lease on it to be had.
func (f *File) closeOurs() {
	if f.oursFD >= 0 {
		unix.Close(f.oursFD)
		f.ours, f.oursFD = nil, -1
	}
}

// openHere opens a file of the process's in the keeper's table, which lacks it.
func openHere(ours syscall.Conn, mode int) (int, error) {
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
		return -1, fmt.Errorf("%w: %w", transfer.ErrNotOpened, err)
	}
	return fd, nil
}
