//go:build !linux && !darwin && !freebsd

package unix

import (
	"errors"
	"syscall"
)

type Statfs_t struct {
	Bsize          int64
	Blocks, Bavail uint64
}

// ENOATTR: the file has no such attribute.
const ENOATTR = syscall.ENOTSUP

// ENOTSUP is what a file system without extended attributes returns.
func Fremovexattr(int, string) error                { return syscall.ENOTSUP }
func Fsetxattr(int, string, []byte, int) error      { return syscall.ENOTSUP }
func Lgetxattr(string, string, []byte) (int, error) { return 0, syscall.ENOTSUP }
func Llistxattr(string, []byte) (int, error)        { return 0, syscall.ENOTSUP }
func Lsetxattr(string, string, []byte, int) error   { return syscall.ENOTSUP }
func Statfs(string, *Statfs_t) error                { return errors.ErrUnsupported }
