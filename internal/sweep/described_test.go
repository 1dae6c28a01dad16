//go:build linux && (amd64 || arm64)

package sweep

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"hotswap/internal/seccomp"
)

// describe names a call for the record, and says whether it is in the record:
// a call is not that concerns no file, or reads what others of the machine
// change: its processes and mounts.
func (s *supervisor) describe(n seccomp.Notification) (c call, counts bool) {
	sig := nameOf(n.Nr)
	c = call{name: sig.name}
	if sig.fd >= 0 {
		c.paths = append(c.paths, s.open(n.Args[sig.fd]))
	}
	for _, arg := range sig.paths {
		path := s.text(n.Args[arg])
		switch dir := n.Args[max(0, arg-1)]; {
		case path == "": // AT_EMPTY_PATH: the call is about the descriptor
			path = s.open(dir)
		case arg > 0 && path[0] != '/' && int32(dir) != unix.AT_FDCWD:
			path = s.open(dir) + "/" + path
		}
		c.paths = append(c.paths, path)
	}
	if uintptr(n.Nr) == unix.SYS_FCNTL {
		c.name = s.fcntl(n)
	}
	counts = true
	for i, p := range c.paths {
		p = s.name(p)
		c.paths[i] = p
		if strings.HasPrefix(p, "anon_inode:") || strings.HasPrefix(p, "pipe:") || strings.HasPrefix(p, "socket:") || unopened.MatchString(p) || p == "/dev/null" ||
			p == "/proc" || c.name == "read" && p == "/proc/self/mountinfo" || strings.HasPrefix(p, "/proc/") && !strings.HasPrefix(p, "/proc/self") {
			counts = false
		}
	}
	return c, counts
}

// unopened is a descriptor that is not one, which with /dev/null, the driver's reserve
// of descriptors, comes and goes beside the operation.
var unopened = regexp.MustCompile(`^fd -?\d+$`)

// name makes a path the same in every run.
func (s *supervisor) name(path string) string {
	path = strings.TrimSuffix(path, " (deleted)")
	own := fmt.Sprintf("/proc/%d", s.pid)
	if path == own || strings.HasPrefix(path, own+"/") {
		path = "/proc/self" + strings.TrimPrefix(path, own)
	}
	return numbers.ReplaceAllString(operationID.ReplaceAllString(s.place.Replace(path), "hotswap-ID"), ".$1")
}

// open names what a descriptor of the victim is open on.
func (s *supervisor) open(fd uint64) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", s.pid, int32(fd)))
	if err != nil {
		return "fd " + strconv.Itoa(int(int32(fd)))
	}
	return path
}

// fcntl names what is asked of fcntl(2): for a lock, which.
func (s *supervisor) fcntl(n seccomp.Notification) string {
	switch n.Args[1] {
	case unix.F_GETFL:
		return "fcntl F_GETFL"
	case unix.F_SETLK, unix.F_SETLKW, unix.F_OFD_SETLK, unix.F_OFD_SETLKW:
		var kind [2]byte // the first field of struct flock
		s.mem.ReadAt(kind[:], int64(n.Args[2]))
		switch binary.NativeEndian.Uint16(kind[:]) {
		case unix.F_RDLCK:
			return readLock
		case unix.F_WRLCK:
			return writeLock
		case unix.F_UNLCK:
			return unlock
		}
	case unix.F_GETLK, unix.F_OFD_GETLK:
		return "fcntl F_GETLK"
	}
	return "fcntl " + strconv.FormatUint(n.Args[1], 10)
}

// text reads a string of the victim's memory.
func (s *supervisor) text(addr uint64) string {
	buf := make([]byte, unix.PathMax)
	n, _ := s.mem.ReadAt(buf, int64(addr)) // short at the end of a mapping
	text, _, _ := bytes.Cut(buf[:n], []byte{0})
	return string(text)
}

// placeOf makes the directory of a run the same in every record.
func placeOf(dir string) *strings.Replacer {
	return strings.NewReplacer(dir+string(filepath.Separator), "", dir, ".")
}
