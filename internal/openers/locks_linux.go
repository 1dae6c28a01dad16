package openers

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// SQLite's locks of a database (https://www.sqlite.org/src/doc/trunk/src/os.h), and the
// write lock of its wal-index (https://www.sqlite.org/walformat.html, section 2.3.1).
const (
	pendingByte  = 0x40000000
	sharedFirst  = pendingByte + 2
	sharedSize   = 510
	walWriteByte = 120
)

// LockedElsewhere returns another process whose lock keeps this one from writing to the
// database at path, as far as locks can be seen: through a descriptor that this process
// has of the file. Without WAL that is any lock: whoever only reads keeps a writer from
// its commit, too, and that shuts out those who come to read. In WAL mode it is the write
// lock, or one that shuts everybody out. The process has the number 0 if it is in another
// namespace.
func LockedElsewhere(path string, wal bool) (by Process, locked bool) {
	file, ok := InodeOf(path)
	if !ok {
		return by, false
	}
	names, _ := descriptors()
	kind := int16(unix.F_WRLCK)
	if wal {
		kind = unix.F_RDLCK // each connection has one of its own
		if shm, ok := InodeOf(path + "-shm"); ok {
			if by, locked = holder(names, shm, unix.F_RDLCK, walWriteByte, 1); locked {
				return by, true
			}
		}
	}
	if by, locked = holder(names, file, kind, pendingByte, sharedFirst-pendingByte); locked {
		return by, true
	}
	return holder(names, file, kind, sharedFirst, sharedSize)
}

// holder asks for a lock that is in the way of one of that kind.
func holder(names []string, file Inode, kind int16, start, length int64) (by Process, locked bool) {
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || !file.isOpenAs(fd) {
			continue
		}
		by, locked = ask(uintptr(fd), kind, start, length)
		return by, locked && file.isOpenAs(fd)
	}
	return by, false
}

// Locked returns another process that has the file, open here for reading and writing or
// for writing, locked as SQLite does: while it is read or written, and in WAL mode for as
// long as SQLite has it open.
func Locked(f *os.File) (by Process, locked bool) {
	return ask(f.Fd(), unix.F_WRLCK, pendingByte, sharedFirst+sharedSize-pendingByte)
}

func ask(fd uintptr, kind int16, start, length int64) (by Process, locked bool) {
	lock := unix.Flock_t{Type: kind, Whence: io.SeekStart, Start: start, Len: length}
	if unix.FcntlFlock(fd, unix.F_GETLK, &lock) != nil || lock.Type == unix.F_UNLCK {
		return by, false
	}
	// -1: an open file description's lock (F_OFD_SETLK), which is nobody's in particular.
	if lock.Pid <= 0 {
		return by, true
	}
	comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", lock.Pid))
	return Process{int(lock.Pid), strings.TrimSpace(string(comm))}, true
}
