//go:build linux && (amd64 || arm64)

package sweep

import (
	"fmt"
	"maps"
	"strings"

	"golang.org/x/sys/unix"
)

// signature says which arguments of a system call name a file.
type signature struct {
	name  string
	fd    int // the argument that is a descriptor, -1 if none is
	paths []int
}

func onFD(name string) signature                { return signature{name, 0, nil} }
func onPath(name string, args ...int) signature { return signature{name, -1, args} }
func onNothing(name string) signature           { return signature{name, -1, nil} }

// signatures are for messages, and to tell the calls that concern no file.
// A call that is missing here is a point all the same.
var signatures = func() map[uintptr]signature {
	all := map[uintptr]signature{
		unix.SYS_READ: onFD("read"), unix.SYS_READV: onFD("readv"), unix.SYS_PREAD64: onFD("pread64"), unix.SYS_PREADV: onFD("preadv"),
		unix.SYS_WRITE: onFD("write"), unix.SYS_WRITEV: onFD("writev"), unix.SYS_PWRITE64: onFD("pwrite64"), unix.SYS_PWRITEV: onFD("pwritev"),
		unix.SYS_FSYNC: onFD("fsync"), unix.SYS_FDATASYNC: onFD("fdatasync"), unix.SYS_SYNC_FILE_RANGE: onFD("sync_file_range"),
		unix.SYS_FTRUNCATE: onFD("ftruncate"), unix.SYS_FALLOCATE: onFD("fallocate"), unix.SYS_LSEEK: onFD("lseek"), unix.SYS_CLOSE: onFD("close"),
		unix.SYS_FCHMOD: onFD("fchmod"), unix.SYS_FCHOWN: onFD("fchown"), unix.SYS_FLOCK: onFD("flock"), unix.SYS_FCNTL: onFD("fcntl"),
		unix.SYS_FSTAT: onFD("fstat"), unix.SYS_FSTATFS: onFD("fstatfs"), unix.SYS_GETDENTS64: onFD("getdents64"), unix.SYS_IOCTL: onFD("ioctl"),
		unix.SYS_FSETXATTR: onFD("fsetxattr"), unix.SYS_FGETXATTR: onFD("fgetxattr"), unix.SYS_FLISTXATTR: onFD("flistxattr"),
		unix.SYS_DUP: onFD("dup"), unix.SYS_DUP3: onFD("dup3"), unix.SYS_FADVISE64: onFD("fadvise64"), unix.SYS_SENDFILE: onFD("sendfile"),
		unix.SYS_COPY_FILE_RANGE: onFD("copy_file_range"), unix.SYS_SPLICE: onFD("splice"), unix.SYS_MMAP: {"mmap", 4, nil},
		unix.SYS_STATFS: onPath("statfs", 0), unix.SYS_TRUNCATE: onPath("truncate", 0), unix.SYS_GETCWD: onNothing("getcwd"),
		unix.SYS_SETXATTR: onPath("setxattr", 0), unix.SYS_LSETXATTR: onPath("lsetxattr", 0), unix.SYS_GETXATTR: onPath("getxattr", 0),
		unix.SYS_LGETXATTR: onPath("lgetxattr", 0), unix.SYS_LISTXATTR: onPath("listxattr", 0), unix.SYS_LLISTXATTR: onPath("llistxattr", 0),
		unix.SYS_OPENAT: onPath("openat", 1), unix.SYS_OPENAT2: onPath("openat2", 1), unix.SYS_STATX: onPath("statx", 1), unix.SYS_NEWFSTATAT: onPath("newfstatat", 1),
		unix.SYS_NAME_TO_HANDLE_AT: onPath("name_to_handle_at", 1),
		unix.SYS_FACCESSAT:         onPath("faccessat", 1), unix.SYS_FACCESSAT2: onPath("faccessat2", 1), unix.SYS_READLINKAT: onPath("readlinkat", 1),
		unix.SYS_UNLINKAT: onPath("unlinkat", 1), unix.SYS_MKDIRAT: onPath("mkdirat", 1), unix.SYS_FCHMODAT: onPath("fchmodat", 1),
		unix.SYS_FCHOWNAT: onPath("fchownat", 1), unix.SYS_UTIMENSAT: onPath("utimensat", 1), unix.SYS_SYMLINKAT: onPath("symlinkat", 0, 2),
		unix.SYS_RENAMEAT: onPath("renameat", 1, 3), unix.SYS_RENAMEAT2: onPath("renameat2", 1, 3), unix.SYS_LINKAT: onPath("linkat", 1, 3),
	}
	maps.Copy(all, archSignatures)
	return all
}()

// call is one system call of a victim.
type call struct {
	name  string
	paths []string // of what it is about, as the record has them
}

func (c call) String() string {
	return strings.Join(append([]string{c.name}, c.paths...), " ")
}

// nameOf returns the signature of a call by its number.
func nameOf(nr int32) signature {
	if s, ok := signatures[uintptr(nr)]; ok {
		return s
	}
	return onNothing(fmt.Sprintf("system call %d", nr))
}
