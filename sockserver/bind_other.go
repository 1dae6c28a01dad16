//go:build !linux

package sockserver

import (
	"errors"
	"net"
	"os"
	"path/filepath"
)

// bindPrivate makes a socket that is its owner's alone from the first moment:
// it is bound within a directory that nobody else can enter, and moved to its
// place once its mode is set. The umask belongs to the whole process, so it
// stays untouched.
func bindPrivate(path string) (_ *net.UnixListener, err error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".hs")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	private := filepath.Join(dir, "s")
	if err := checkSocketPath(private); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: private, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(private, 0o600)
	if err == nil {
		err = os.Rename(private, path)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close(), os.Remove(private))
	}
	return l, nil
}
