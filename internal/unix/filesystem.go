//go:build linux || darwin || freebsd

package unix

import "golang.org/x/sys/unix"

type Statfs_t = unix.Statfs_t

func Fremovexattr(fd int, attr string) error { return unix.Fremovexattr(fd, attr) }
func Fsetxattr(fd int, attr string, data []byte, flags int) error {
	return unix.Fsetxattr(fd, attr, data, flags)
}
func Lgetxattr(path, attr string, dest []byte) (int, error) { return unix.Lgetxattr(path, attr, dest) }
func Llistxattr(path string, dest []byte) (int, error)      { return unix.Llistxattr(path, dest) }
func Lsetxattr(path, attr string, data []byte, flags int) error {
	return unix.Lsetxattr(path, attr, data, flags)
}
func Statfs(path string, st *Statfs_t) error { return unix.Statfs(path, st) }
