package pathwatch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"hotswap/internal/fileid"
)

const (
	// ofItself is what can happen to a directory itself: a rename. To be removed it must be empty,
	// and its last name is then gone before.
	ofItself = unix.IN_MOVE_SELF
	// inNames is what can happen to a name that is there. One that has gone is not
	// watched any more, so it is not asked who creates it again; nor is it told of the
	// journals that transactions create, only of their removal.
	inNames = ofItself | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE
)

// local refuses what is not known to be changed through this kernel alone, and entry by
// entry: network file systems; FUSE; overlays, whose layers may be written to; and those
// with subvolumes or a rollback, which take away, or put back, a whole tree at once.
func local(dir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return fmt.Errorf("statfs %s: %w", dir, err)
	}
	switch uint32(fs.Type) {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		return nil
	}
	return fmt.Errorf("%s: %w", dir, errors.ErrUnsupported)
}

// events is what the kernel tells.
type events struct {
	inotify int
	mounts  int
	buf     [16 << 10]byte
}

func newEvents() (*events, error) {
	mounts, err := unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("watch the mounts: %w", err)
	}
	inotify, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		unix.Close(mounts)
		return nil, fmt.Errorf("watch directories: %w", err)
	}
	return &events{inotify: inotify, mounts: mounts}, nil
}

func (e *events) close() {
	unix.Close(e.inotify)
	unix.Close(e.mounts)
}

// watch has these events of a directory told, besides those that are already.
func (e *events) watch(path string, mask uint32) (wd int32, file fileid.ID, err error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fileid.None, fmt.Errorf("open %s: %w", path, err)
	}
	defer unix.Close(fd)
	// Not by its name, at which there may be another one by now.
	n, err := unix.InotifyAddWatch(e.inotify, fmt.Sprintf("/proc/self/fd/%d", fd), mask|unix.IN_MASK_ADD)
	if err != nil {
		return 0, fileid.None, fmt.Errorf("watch %s: %w", path, err)
	}
	return int32(n), fileid.OfFD(uintptr(fd)), nil
}

func (e *events) unwatch(wd int32) { unix.InotifyRmWatch(e.inotify, uint32(wd)) }

// read hands on what has happened, and reports whether that is all.
func (e *events) read(happened func(wd int32, mask uint32, name string)) (complete bool) {
	for {
		n, err := unix.Read(e.inotify, e.buf[:])
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return true
		case err != nil || n == 0:
			return false
		}
		for buf := e.buf[:n]; len(buf) >= unix.SizeofInotifyEvent; {
			wd, mask := int32(binary.NativeEndian.Uint32(buf)), binary.NativeEndian.Uint32(buf[4:])
			end := min(len(buf), unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(buf[12:])))
			happened(wd, mask, string(bytes.TrimRight(buf[unix.SizeofInotifyEvent:end], "\x00")))
			buf = buf[end:]
		}
	}
}

// mounted reports whether something was mounted or unmounted since the last time.
func (e *events) mounted() bool {
	fds := []unix.PollFd{{Fd: int32(e.mounts), Events: unix.POLLPRI}}
	n, err := unix.Poll(fds, 0)
	return n > 0 || err != nil && err != unix.EINTR
}
