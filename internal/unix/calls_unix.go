//go:build unix

package unix

import (
	"io/fs"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Supported returns nil: database files can be swapped on this system.
func Supported() error { return nil }

// FileStat is what os.FileInfo.Sys returns.
type FileStat = syscall.Stat_t

type (
	Stat_t  = unix.Stat_t
	Rlimit  = unix.Rlimit
	Winsize = unix.Winsize
)

const (
	AT_EACCESS      = unix.AT_EACCESS
	AT_FDCWD        = unix.AT_FDCWD
	F_DUPFD_CLOEXEC = unix.F_DUPFD_CLOEXEC
	F_GETFD         = unix.F_GETFD
	FD_CLOEXEC      = unix.FD_CLOEXEC
	LOCK_EX         = unix.LOCK_EX
	LOCK_NB         = unix.LOCK_NB
	LOCK_SH         = unix.LOCK_SH
	LOCK_UN         = unix.LOCK_UN
	O_CLOEXEC       = unix.O_CLOEXEC
	O_NOFOLLOW      = unix.O_NOFOLLOW
	O_NONBLOCK      = unix.O_NONBLOCK
	O_RDONLY        = unix.O_RDONLY
	O_WRONLY        = unix.O_WRONLY
	RLIMIT_NOFILE   = unix.RLIMIT_NOFILE
	S_IFBLK         = unix.S_IFBLK
	S_IFCHR         = unix.S_IFCHR
	S_IFDIR         = unix.S_IFDIR
	S_IFIFO         = unix.S_IFIFO
	S_IFLNK         = unix.S_IFLNK
	S_IFMT          = unix.S_IFMT
	S_IFREG         = unix.S_IFREG
	S_IFSOCK        = unix.S_IFSOCK
	TIOCGWINSZ      = unix.TIOCGWINSZ
	W_OK            = unix.W_OK
	X_OK            = unix.X_OK

	EBUSY        = unix.EBUSY
	ENAMETOOLONG = unix.ENAMETOOLONG
	ENOTSUP      = unix.ENOTSUP
	EPERM        = unix.EPERM
	ERANGE       = unix.ERANGE
	EROFS        = unix.EROFS
	EWOULDBLOCK  = unix.EWOULDBLOCK
)

func Access(path string, mode uint32) error { return unix.Access(path, mode) }
func ByteSliceToString(s []byte) string     { return unix.ByteSliceToString(s) }
func Close(fd int) error                    { return unix.Close(fd) }
func CloseOnExec(fd int)                    { unix.CloseOnExec(fd) }
func Faccessat(dir int, path string, mode uint32, flag int) error {
	return unix.Faccessat(dir, path, mode, flag)
}
func FcntlInt(fd uintptr, cmd, arg int) (int, error)       { return unix.FcntlInt(fd, cmd, arg) }
func Flock(fd, how int) error                              { return unix.Flock(fd, how) }
func Fstat(fd int, st *Stat_t) error                       { return unix.Fstat(fd, st) }
func Getrlimit(resource int, limit *Rlimit) error          { return unix.Getrlimit(resource, limit) }
func IoctlGetWinsize(fd int, req uint) (*Winsize, error)   { return unix.IoctlGetWinsize(fd, req) }
func Open(path string, mode int, perm uint32) (int, error) { return unix.Open(path, mode, perm) }
func Pread(fd int, p []byte, offset int64) (int, error)    { return unix.Pread(fd, p, offset) }

// ChangeTime is when the inode of the file at path last changed. It follows no link.
func ChangeTime(path string) (time.Time, error) {
	var st Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return time.Time{}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return time.Unix(st.Ctim.Unix()), nil
}
