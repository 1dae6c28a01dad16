package unix

import (
	"errors"
	"syscall"
	"time"
)

// Supported returns why database files can't be swapped on this system.
func Supported() error { return unsupported{} }

type unsupported struct{}

func (unsupported) Error() string {
	return "not supported on Windows: an open file can't be replaced there, and nothing tells who else has it open"
}
func (unsupported) Is(target error) bool { return target == errors.ErrUnsupported }

// FileStat is no type that os.FileInfo.Sys returns.
type FileStat struct {
	Dev, Ino, Nlink uint64
	Uid, Gid        uint32
}

type (
	Stat_t struct {
		Dev, Ino uint64
		Mode     uint32
		Size     int64
	}
	Rlimit  struct{ Cur uint64 }
	Winsize struct{ Row, Col uint16 }
)

const (
	AT_EACCESS = iota
	AT_FDCWD
	F_DUPFD_CLOEXEC
	F_GETFD
	FD_CLOEXEC
	LOCK_EX
	LOCK_NB
	LOCK_SH
	LOCK_UN
	O_NOFOLLOW = 0
	RLIMIT_NOFILE
	TIOCGWINSZ
	W_OK
	X_OK

	S_IFBLK  = syscall.S_IFBLK
	S_IFCHR  = syscall.S_IFCHR
	S_IFDIR  = syscall.S_IFDIR
	S_IFIFO  = syscall.S_IFIFO
	S_IFLNK  = syscall.S_IFLNK
	S_IFMT   = syscall.S_IFMT
	S_IFREG  = syscall.S_IFREG
	S_IFSOCK = syscall.S_IFSOCK

	O_CLOEXEC  = syscall.O_CLOEXEC
	O_NONBLOCK = syscall.O_NONBLOCK
	O_RDONLY   = syscall.O_RDONLY
	O_WRONLY   = syscall.O_WRONLY

	EBUSY        = syscall.EBUSY
	ENAMETOOLONG = syscall.ENAMETOOLONG
	ENOTSUP      = syscall.ENOTSUP
	EPERM        = syscall.EPERM
	ERANGE       = syscall.ERANGE
	EROFS        = syscall.EROFS
	EWOULDBLOCK  = syscall.EWOULDBLOCK
)

func Access(string, uint32) error                 { return errors.ErrUnsupported }
func ByteSliceToString([]byte) string             { return "" }
func ChangeTime(string) (time.Time, error)        { return time.Time{}, errors.ErrUnsupported }
func Close(int) error                             { return errors.ErrUnsupported }
func CloseOnExec(int)                             {}
func Faccessat(int, string, uint32, int) error    { return errors.ErrUnsupported }
func FcntlInt(uintptr, int, int) (int, error)     { return -1, errors.ErrUnsupported }
func Flock(int, int) error                        { return errors.ErrUnsupported }
func Fstat(int, *Stat_t) error                    { return errors.ErrUnsupported }
func Getrlimit(int, *Rlimit) error                { return errors.ErrUnsupported }
func IoctlGetWinsize(int, uint) (*Winsize, error) { return nil, errors.ErrUnsupported }
func Open(string, int, uint32) (int, error)       { return -1, errors.ErrUnsupported }
func Pread(int, []byte, int64) (int, error)       { return 0, errors.ErrUnsupported }
