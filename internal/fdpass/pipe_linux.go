package fdpass

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/internal/transfer"
)

// pipeIn and pipeOut are a File of a pipe as transfer.PipeSource and PipeDest. What
// goes through them is moved by splice(2): it is not copied through the program, and
// into a pipe not at all, since that holds the pages of the file.
//
// The keeper never waits in a pipe for longer than turn: a peer that neither sends nor
// receives is waited for outside.
type (
	pipeIn struct {
		*File
		limit time.Duration // without a byte
	}
	pipeOut struct {
		*File
		limit  time.Duration
		digest bool
	}
)

var (
	_ transfer.PipeSource = pipeIn{}
	_ transfer.PipeDest   = pipeOut{}
)

func (pipeIn) Read([]byte) (int, error)   { return 0, errNotAStream }
func (pipeOut) Write([]byte) (int, error) { return 0, errNotAStream }

func (p pipeOut) WantsDigest() bool { return p.digest }

// turn is how long the keeper works at a pipe before it says how far it came.
const turn = 100 * time.Millisecond

// wideBuffer is what a pipe holds that a client passes, if it may: each time that it is
// full, or empty, one side waits for the other.
const wideBuffer = 1 << 20

func (p pipeIn) MoveTo(ctx context.Context, dst *os.File, off, n int64) (int64, error) {
	return p.move(ctx, p.limit, func() (int64, bool, error) {
		file, err := p.reopen(dst, unix.O_WRONLY)
		if err != nil {
			return 0, true, err
		}
		done, over, err := p.inTurn(n, unix.POLLIN, func(done int64) (int, error) {
			at := off + done
			if p.bytewise {
				return readInto(file, p.fd, at, n-done)
			}
			return splice(p.fd, nil, file, &at, n-done)
		})
		if done == 0 && over {
			p.closeOurs() // the pipe has ended
		}
		return done, over, err
	})
}

func (p pipeOut) MoveFrom(ctx context.Context, src *os.File, off, n int64) (int64, error) {
	return p.move(ctx, p.limit, func() (int64, bool, error) {
		file, err := p.reopen(src, unix.O_RDONLY)
		if err != nil {
			return 0, true, err
		}
		return p.inTurn(n, unix.POLLOUT, func(done int64) (int, error) {
			at := off + done
			if p.bytewise {
				return writeFrom(p.fd, file, at, n-done)
			}
			return splice(file, &at, p.fd, nil, n-done)
		})
	})
}

// move runs step in the keeper until it has moved something, or says that there is no
// more.
func (f *File) move(ctx context.Context, limit time.Duration, step func() (n int64, over bool, err error)) (int64, error) {
	type moved struct {
		n    int64
		over bool
	}
	for began := time.Now(); ; {
		got, err := inKeeper(ctx, f.keeper, limit+10*turn, func() (moved, error) {
			n, over, err := step()
			return moved{n, over}, err
		})
		switch {
		case err != nil:
			return got.n, err
		case got.n > 0 || got.over:
			return got.n, nil
		case time.Since(began) >= limit:
			return 0, ErrPipeStalled
		}
	}
}

// inTurn moves up to n bytes by piece, which does not wait, for a turn at most, and
// waits for the pipe where it has to. over says that there are no more.
func (f *File) inTurn(n int64, ready int16, piece func(done int64) (int, error)) (done int64, over bool, err error) {
	for began := time.Now(); done < n; {
		left := turn - time.Since(began)
		if left <= 0 {
			return done, false, nil
		}
		m, err := piece(done)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			awaitPipe(f.fd, ready, left)
		case !f.bytewise && (err == unix.EINVAL || err == unix.ENOSYS || err == unix.EPERM):
			f.bytewise = true // the file system, or a sandbox, knows nothing of it
		case err == unix.EPIPE:
			return done, true, ErrNoReader
		case err != nil:
			return done, true, os.NewSyscallError("splice", err)
		case m == 0:
			return done, true, nil
		default:
			done += int64(m)
		}
	}
	return done, true, nil
}

func splice(from int, fromAt *int64, to int, toAt *int64, n int64) (int, error) {
	m, err := unix.Splice(from, fromAt, to, toAt, int(n), unix.SPLICE_F_NONBLOCK)
	return int(m), err
}

// readInto moves bytes from a pipe to a file by reading and writing them.
func readInto(file, pipe int, off, n int64) (int, error) {
	if !readyNow(pipe, unix.POLLIN) {
		return 0, unix.EAGAIN
	}
	buf := make([]byte, min(n, 64<<10))
	m, err := unix.Read(pipe, buf)
	if m <= 0 || err != nil {
		return 0, err
	}
	return m, transfer.Patch(file, []transfer.Piece{{Off: off, Data: buf[:m]}})
}

// writeFrom moves bytes from a file to a pipe: as many as never wait in one that has
// room at all.
func writeFrom(pipe, file int, off, n int64) (int, error) {
	if !readyNow(pipe, unix.POLLOUT) {
		return 0, unix.EAGAIN
	}
	buf := make([]byte, min(n, 4096)) // PIPE_BUF
	m, err := unix.Pread(file, buf, off)
	if m <= 0 || err != nil {
		return 0, err
	}
	return unix.Write(pipe, buf[:m])
}

func readyNow(pipe int, events int16) bool { return awaitPipe(pipe, events, 0) }

// awaitPipe waits until the pipe is ready, or its other end is closed.
func awaitPipe(pipe int, events int16, patience time.Duration) bool {
	fds := []unix.PollFd{{Fd: int32(pipe), Events: events}}
	n, err := unix.Poll(fds, int(patience.Milliseconds()))
	return err == nil && n > 0
}

// Await waits until there is something to read from a pipe that Source has returned, or
// its end; it returns io.EOF for that, if nothing is left before it.
func Await(ctx context.Context, pipe *os.File) error {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		ready, left := false, 0
		var leftErr error
		err := raw.Control(func(fd uintptr) {
			if ready = awaitPipe(int(fd), unix.POLLIN, turn); ready {
				left, leftErr = unix.IoctlGetInt(int(fd), unix.TIOCINQ)
			}
		})
		switch {
		case err != nil || leftErr != nil:
			return fmt.Errorf("look into the pipe: %w", errors.Join(err, leftErr))
		case ready && left == 0:
			return io.EOF
		case ready:
			return nil
		}
	}
	return context.Cause(ctx)
}

// Unread reports whether nobody has the other end of a pipe open, into which one writes.
func Unread(pipe *os.File) bool {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return false
	}
	unread := false
	raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		if n, err := unix.Poll(fds, 0); err == nil && n > 0 {
			unread = fds[0].Revents&unix.POLLERR != 0
		}
	})
	return unread
}

// Widen has a pipe hold more, if it may: whoever reads it and whoever writes to it then
// wait for one another less often. It does nothing to what is not a pipe.
func Widen(pipe *os.File) {
	if raw, err := pipe.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { widen(int(fd)) })
	}
}

// widen has a pipe hold more, if it may.
func widen(pipe int) {
	if size, err := unix.FcntlInt(uintptr(pipe), unix.F_GETPIPE_SZ, 0); err == nil && size < wideBuffer {
		unix.FcntlInt(uintptr(pipe), unix.F_SETPIPE_SZ, wideBuffer)
	}
}
