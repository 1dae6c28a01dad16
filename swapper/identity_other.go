//go:build unix && !linux

package swapper

import (
	"os"

	"golang.org/x/sys/unix"
)

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

// errNoXattr: the file has no such attribute.
const errNoXattr = unix.ENOATTR
