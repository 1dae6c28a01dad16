// Package workfile creates the files that an operation works on before they get the name
// that they are for. One is locked as long as its process lives, which distinguishes it
// from what a killed process has left behind.
package workfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"hotswap/internal/unix"
)

// ErrNotLocked is returned, with the file, where files can't be locked. Then nobody
// can take it for a leftover, either.
var ErrNotLocked = errors.New("the file can't be locked")

// tries is how often another process may take the new file for a leftover in the moment
// before it is locked.
const tries = 100

// Create creates a file for reading and writing, under a name that newName makes up, and
// locks it with flock(2). SQLite's own locks are of another sort (fcntl) and don't
// conflict with that. The process's umask counts, as for SQLite's own files.
func Create(newName func() string, mode fs.FileMode) (*os.File, error) {
	for range tries {
		f, err := os.OpenFile(newName(), os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
		if err != nil {
			return nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != nil && !errors.Is(err, unix.EWOULDBLOCK) { // which is of whoever is about to remove it
			return f, fmt.Errorf("%w: %w", ErrNotLocked, err)
		}
		named := false
		if err == nil {
			if named, err = isNamed(f); named {
				return f, nil
			}
		} else {
			err = nil
		}
		os.Remove(f.Name())
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	return nil, errors.New("another process removes it again and again")
}

// isNamed reports whether the file's name still leads to it.
func isNamed(f *os.File) (bool, error) {
	ours, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(f.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(ours, there), err
}
