//go:build !linux

package transfer

import (
	"errors"
	"syscall"
)

// ReadAt is for Linux.
func ReadAt(syscall.Conn, []byte, int64) (int, error) { return 0, errors.ErrUnsupported }
