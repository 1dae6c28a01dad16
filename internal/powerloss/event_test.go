//go:build linux && amd64

package powerloss

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// event is a system call that changes or syncs the watched directory or a file
// in it, or a mark: a line that the process printed.
type event struct {
	op    op
	name  string // in the directory, "." for itself; what a mark says
	to    string // the second name of a link or a rename
	inode uint64 // of the file that is created, written, truncated or synced
	off   int64  // of a write
	data  []byte // of a write
	size  int64  // of a truncate
}

type op string

const (
	opCreate   op = "create"
	opWrite    op = "write"
	opTruncate op = "truncate"
	opSync     op = "fsync"
	opLink     op = "link"
	opRename   op = "rename"
	opExchange op = "exchange" // of two names
	opUnlink   op = "unlink"
	opMark     op = "mark"
)

func (e event) String() string {
	switch e.op {
	case opWrite:
		return fmt.Sprintf("write %s, %d bytes from %d on", e.name, len(e.data), e.off)
	case opTruncate:
		return fmt.Sprintf("truncate %s to %d bytes", e.name, e.size)
	case opLink, opRename, opExchange:
		return fmt.Sprintf("%s %s to %s", e.op, e.name, e.to)
	}
	return string(e.op) + " " + e.name
}

// isStage reports whether the event is about a file that is staged.
func (e event) isStage() bool { return strings.HasSuffix(e.name, ".stage") }

// call is a system call at its entry.
type call struct {
	pid    int
	dir    string
	number uint64
	args   [6]uint64
}

// event says what the call will do to the directory; nil if nothing. A call
// whose effect is not known here is an error, so that none is overlooked.
//
// Left out are the -shm, which is never synced and made anew behind a crash;
// owners, modes and attributes, which are no content; and what only allocates.
func (c *call) event() (*event, error) {
	a := c.args
	switch c.number {
	case unix.SYS_OPEN:
		return c.open(unix.AT_FDCWD, a[0], int(a[1]))
	case unix.SYS_OPENAT:
		return c.open(int(int32(a[0])), a[1], int(a[2]))
	case unix.SYS_WRITE:
		if a[0] == 1 {
			line, err := readMemory(c.pid, a[1], a[2])
			return &event{op: opMark, name: strings.TrimSpace(string(line))}, err
		}
		return c.write(a[0], a[1], a[2], nil)
	case unix.SYS_PWRITE64:
		off := int64(a[3])
		return c.write(a[0], a[1], a[2], &off)
	case unix.SYS_FTRUNCATE:
		e, err := c.file(opTruncate, a[0])
		if e != nil {
			e.size = int64(a[1])
		}
		return e, err
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		return c.file(opSync, a[0])
	case unix.SYS_UNLINK:
		return c.names(opUnlink, unix.AT_FDCWD, a[0], unix.AT_FDCWD, 0)
	case unix.SYS_UNLINKAT:
		return c.names(opUnlink, int(int32(a[0])), a[1], unix.AT_FDCWD, 0)
	case unix.SYS_RENAME:
		return c.names(opRename, unix.AT_FDCWD, a[0], unix.AT_FDCWD, a[1])
	case unix.SYS_RENAMEAT:
		return c.names(opRename, int(int32(a[0])), a[1], int(int32(a[2])), a[3])
	case unix.SYS_RENAMEAT2:
		switch a[4] {
		case 0, unix.RENAME_NOREPLACE: // one that finds the name taken fails, and is not recorded
			return c.names(opRename, int(int32(a[0])), a[1], int(int32(a[2])), a[3])
		case unix.RENAME_EXCHANGE:
			return c.names(opExchange, int(int32(a[0])), a[1], int(int32(a[2])), a[3])
		}
	case unix.SYS_LINK:
		return c.names(opLink, unix.AT_FDCWD, a[0], unix.AT_FDCWD, a[1])
	case unix.SYS_LINKAT:
		return c.names(opLink, int(int32(a[0])), a[1], int(int32(a[2])), a[3])
	}
	return nil, c.refuseUnknown()
}

// refuseUnknown knows the calls that would escape the recording.
func (c *call) refuseUnknown() error {
	var fds []uint64
	switch c.number {
	case unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_PWRITEV2, unix.SYS_SENDFILE, unix.SYS_SYNCFS:
		fds = c.args[:1]
	case unix.SYS_COPY_FILE_RANGE, unix.SYS_SPLICE:
		fds = c.args[2:3]
	case unix.SYS_FALLOCATE:
		if c.args[1] != unix.FALLOC_FL_KEEP_SIZE {
			fds = c.args[:1]
		}
	case unix.SYS_MMAP:
		if c.args[2]&unix.PROT_WRITE != 0 && c.args[3]&unix.MAP_TYPE == unix.MAP_SHARED && c.args[3]&unix.MAP_ANONYMOUS == 0 {
			fds = c.args[4:5]
		}
	case unix.SYS_RENAMEAT2, unix.SYS_OPENAT2, unix.SYS_CREAT, unix.SYS_TRUNCATE, unix.SYS_MKDIR, unix.SYS_MKDIRAT, unix.SYS_RMDIR,
		unix.SYS_SYMLINK, unix.SYS_SYMLINKAT, unix.SYS_SYNC, unix.SYS_IO_URING_SETUP:
		return fmt.Errorf("system call %d: the recorder has to learn it first", c.number)
	}
	for _, fd := range fds {
		if name, ok := c.inside(c.fdPath(fd)); ok {
			return fmt.Errorf("system call %d on %s: the recorder has to learn it first", c.number, name)
		}
	}
	return nil
}

func (c *call) open(at int, path uint64, flags int) (*event, error) {
	if flags&(unix.O_CREAT|unix.O_TRUNC) == 0 {
		return nil, nil
	}
	full, err := c.path(at, path)
	if err != nil {
		return nil, err
	}
	name, ok := c.inside(full)
	if !ok {
		return nil, nil
	}
	var st unix.Stat_t
	there := unix.Stat(full, &st) == nil
	switch {
	case flags&unix.O_TMPFILE == unix.O_TMPFILE:
		return nil, fmt.Errorf("O_TMPFILE in %s: the recorder has to learn it first", name)
	case flags&unix.O_CREAT != 0 && !there:
		return &event{op: opCreate, name: name}, nil
	case flags&unix.O_TRUNC != 0 && there:
		return &event{op: opTruncate, name: name, inode: st.Ino}, nil
	}
	return nil, nil
}

// file makes an event of a call on a descriptor.
func (c *call) file(what op, fd uint64) (*event, error) {
	name, ok := c.inside(c.fdPath(fd))
	if !ok {
		return nil, nil
	}
	var st unix.Stat_t
	if err := unix.Stat(c.proc("fd", fd), &st); err != nil {
		return nil, err
	}
	return &event{op: what, name: name, inode: st.Ino}, nil
}

// write makes an event of a write at the offset, at the descriptor's own if nil.
func (c *call) write(fd, buf, n uint64, off *int64) (*event, error) {
	e, err := c.file(opWrite, fd)
	if e == nil {
		return nil, err
	}
	if off == nil {
		info, err := os.ReadFile(c.proc("fdinfo", fd))
		if err != nil {
			return nil, err
		}
		off = new(int64)
		var flags int
		if _, err := fmt.Sscanf(string(info), "pos: %d\nflags: %o", off, &flags); err != nil || flags&unix.O_APPEND != 0 {
			return nil, fmt.Errorf("no offset for a write to %s in %q", e.name, info)
		}
	}
	e.off = *off
	e.data, err = readMemory(c.pid, buf, n)
	return e, err
}

// names makes an event of a call on paths, if the first of them exists.
func (c *call) names(what op, at int, path uint64, toAt int, toPath uint64) (*event, error) {
	full, err := c.path(at, path)
	if err != nil {
		return nil, err
	}
	e := &event{op: what}
	inside := false
	if e.name, inside = c.inside(full); toPath != 0 {
		to, err := c.path(toAt, toPath)
		if err != nil {
			return nil, err
		}
		var toInside bool
		if e.to, toInside = c.inside(to); toInside != inside {
			return nil, fmt.Errorf("%s %s to %s goes over the directory's border", what, full, to)
		}
	}
	if _, err := os.Lstat(full); err != nil || !inside {
		return nil, nil
	}
	return e, nil
}

func (c *call) path(at int, addr uint64) (string, error) {
	p, err := readString(c.pid, addr)
	if err != nil || filepath.IsAbs(p) {
		return p, err
	}
	if at == unix.AT_FDCWD {
		wd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", c.pid))
		return filepath.Join(wd, p), err
	}
	return filepath.Join(c.fdPath(uint64(at)), p), nil
}

func (c *call) proc(kind string, fd uint64) string {
	return fmt.Sprintf("/proc/%d/%s/%d", c.pid, kind, int32(fd))
}

// fdPath returns the path that a descriptor was opened by, "" if it has none.
func (c *call) fdPath(fd uint64) string {
	p, _ := os.Readlink(c.proc("fd", fd))
	return strings.TrimSuffix(p, " (deleted)")
}

// inside returns path's name in the directory, and whether it counts.
func (c *call) inside(path string) (name string, ok bool) {
	if path == c.dir {
		return ".", true
	}
	name, ok = strings.CutPrefix(path, c.dir+"/")
	return name, ok && !strings.HasSuffix(name, "-shm")
}
