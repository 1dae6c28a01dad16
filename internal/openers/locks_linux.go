package openers

import (
	"io"
	"strconv"

	"golang.org/x/sys/unix"
)

// SQLite's locks of a file: https://www.sqlite.org/src/doc/trunk/src/os.h.
const (
	pendingByte = 0x40000000
	sharedFirst = pendingByte + 2
	sharedSize  = 510
)

// ShutElsewhere reports whether another process has the database locked so that nobody
// else can begin to read it (SQLite's PENDING or EXCLUSIVE), as far as locks can be seen:
// through a descriptor that this process has of it. known is false without one.
func ShutElsewhere(file Inode) (shut, known bool) {
	names, _ := descriptors()
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || !file.isOpenAs(fd) {
			continue
		}
		for _, lock := range []unix.Flock_t{
			{Type: unix.F_RDLCK, Whence: io.SeekStart, Start: pendingByte, Len: 1},
			{Type: unix.F_RDLCK, Whence: io.SeekStart, Start: sharedFirst, Len: sharedSize},
		} {
			if unix.FcntlFlock(uintptr(fd), unix.F_GETLK, &lock) != nil || !file.isOpenAs(fd) {
				return false, false
			}
			shut = shut || lock.Type != unix.F_UNLCK
		}
		return shut, true
	}
	return false, false
}
