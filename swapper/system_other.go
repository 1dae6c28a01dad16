//go:build !linux

package swapper

import (
	"errors"
	"os"
	"time"
)

// What only Linux has, and what is done without it.

// Disk space is not reserved, and written back when the system likes.
func allocate(*os.File, int64, int64) error { return nil }
func startWriteback(*os.File, int64, int64) {}
func reflink(dst, src *os.File) bool        { return false }

// A file's birth is not known.
func lookAt(path string) (fileState, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return fileState{}, err
	}
	return stateOf(info)
}

func lookThrough(f *os.File) (fileState, error) {
	info, err := f.Stat()
	if err != nil {
		return fileState{}, err
	}
	return stateOf(info)
}

// There are no leases, nor locks of a descriptor.
const leasesExist = false

func setLease(*os.File) error { return errors.ErrUnsupported }
func leaseHeld(*os.File) bool { return true }

func leaseBreakTime() time.Duration { return 0 }

func dropLease(*os.File)   {}
func fence(*os.File) error { return nil }

func leaseDoubt(string) string {
	return "this system can't tell whether an idle process has the file open"
}

// Two names can't be exchanged, and a rename takes a name that is not free.
func exchangeNames(a, b string) error  { return errors.ErrUnsupported }
func renameFree(from, to string) error { return errors.ErrUnsupported }
