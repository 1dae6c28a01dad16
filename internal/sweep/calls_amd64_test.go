//go:build linux

package sweep

import "golang.org/x/sys/unix"

// archSignatures are the calls that newer architectures don't have.
var archSignatures = map[uintptr]signature{
	unix.SYS_OPEN: onPath("open", 0), unix.SYS_CREAT: onPath("creat", 0), unix.SYS_STAT: onPath("stat", 0), unix.SYS_LSTAT: onPath("lstat", 0),
	unix.SYS_ACCESS: onPath("access", 0), unix.SYS_READLINK: onPath("readlink", 0),
	unix.SYS_RENAME: onPath("rename", 0, 1), unix.SYS_LINK: onPath("link", 0, 1), unix.SYS_UNLINK: onPath("unlink", 0),
	unix.SYS_MKDIR: onPath("mkdir", 0), unix.SYS_RMDIR: onPath("rmdir", 0), unix.SYS_SYMLINK: onPath("symlink", 0, 1),
	unix.SYS_CHMOD: onPath("chmod", 0), unix.SYS_CHOWN: onPath("chown", 0), unix.SYS_LCHOWN: onPath("lchown", 0),
	unix.SYS_GETDENTS: onFD("getdents"), unix.SYS_DUP2: onFD("dup2"), unix.SYS_UTIMES: onPath("utimes", 0),
}
