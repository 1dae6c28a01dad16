package swapper

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// exchangeNames makes each of two names the other's file's, in one step:
// RENAME_EXCHANGE in rename(2). errors.ErrUnsupported where that is not to be had.
func exchangeNames(a, b string) error { return rename2(a, b, unix.RENAME_EXCHANGE) }

// renameFree renames to a name that must be free, else it returns os.ErrExist.
func renameFree(from, to string) error { return rename2(from, to, unix.RENAME_NOREPLACE) }

func rename2(from, to string, flags uint) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, flags)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP):
		err = errors.Join(errors.ErrUnsupported, err)
	}
	return &os.LinkError{Op: "renameat2", Old: from, New: to, Err: err}
}
