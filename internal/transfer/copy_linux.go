package transfer

import (
	"os"

	"golang.org/x/sys/unix"
)

// copyBuffer is how much is read and written at a time where the kernel can't copy.
const copyBuffer = 256 << 10

// CopyRange copies n bytes at offset off of the descriptor src to the same offset of
// dst, fewer only where src ends. It copies within the kernel where it can.
func CopyRange(dst, src int, off, n int64) (done int64, err error) {
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
		if err := writeAt(dst, buf[:m], off+done); err != nil {
			return done, err
		}
		done += int64(m)
	}
	return done, nil
}

// Patch writes pieces to the descriptor fd, in their order.
func Patch(fd int, pieces []Piece) error {
	for _, p := range pieces {
		if err := writeAt(fd, p.Data, p.Off); err != nil {
			return err
		}
	}
	return nil
}

func writeAt(fd int, b []byte, off int64) error {
	for len(b) > 0 {
		n, err := unix.Pwrite(fd, b, off)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return os.NewSyscallError("write", err)
		case n == 0:
			return os.NewSyscallError("write", unix.EIO)
		default:
			b, off = b[n:], off+int64(n)
		}
	}
	return nil
}
