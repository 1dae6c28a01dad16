package sockserver

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"hotswap/internal/unix"
)

// socketLock is a lock file that is ours while the socket is. The kernel takes
// the lock away from a process that dies; the file may stay behind.
type socketLock struct {
	file *os.File
	path string
}

// lockSocket takes the lock, or fails with the pid of its owner, which the file
// holds.
func lockSocket(path string) (*socketLock, error) {
	for {
		// It is written to, and to close it drops locks that the process has on it.
		if info, err := os.Lstat(path); err == nil && !isLockFile(info) {
			return nil, fmt.Errorf("open the lock file: %s is not a regular file with a single name; move it away", path)
		}
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open the lock file: %w", err)
		}
		if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			defer file.Close()
			if !errors.Is(err, unix.EWOULDBLOCK) {
				return nil, fmt.Errorf("lock %s: %w", path, err)
			}
			return nil, fmt.Errorf("%w: process %s; %s", ErrInUse, readPID(file), ownSocket)
		}
		// The owner before us may have removed the file between our open and
		// our lock; then a third process may lock another file of that name.
		mine, err := file.Stat()
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		named, err := os.Lstat(path)
		if err == nil && os.SameFile(mine, named) {
			return &socketLock{file, path}, writePID(file)
		}
		file.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("look for the lock file: %w", err)
		}
	}
}

// isLockFile reports whether it may be one: a regular file with one name.
func isLockFile(info fs.FileInfo) bool {
	st, ok := info.Sys().(*unix.FileStat)
	return info.Mode().IsRegular() && ok && st.Nlink == 1
}

func writePID(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("write the lock file: %w", err)
	}
	if _, err := file.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0); err != nil {
		return fmt.Errorf("write the lock file: %w", err)
	}
	return nil
}

func readPID(file *os.File) string {
	text, err := io.ReadAll(io.LimitReader(file, 32))
	if pid := strings.TrimSpace(string(text)); err == nil && pid != "" {
		return pid
	}
	return "unknown"
}

// named reports whether the file still has its name: without one it keeps nobody out.
func (l *socketLock) named() bool {
	mine, err := l.file.Stat()
	named, namedErr := os.Lstat(l.path)
	return err == nil && namedErr == nil && os.SameFile(mine, named)
}

// release removes the file while it is still locked, so that nobody else's is.
func (l *socketLock) release() error {
	if !l.named() {
		return l.file.Close()
	}
	return errors.Join(os.Remove(l.path), l.file.Close())
}
