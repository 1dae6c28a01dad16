package dirwatch

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Watch is a watch on some names of a directory. It opens none of the files, so that
// leases on them are granted, and locks on them stay.
type Watch struct {
	fd    int
	names []string
	file  int      // the watch descriptor of what Follow follows; 0 for none
	made  []string // those that were created, or moved there
	err   error    // for good
}

// touching is every event by which a file, or a name for one, comes to have other
// content. Removals are not among them.
const touching = unix.IN_MODIFY | unix.IN_CREATE | unix.IN_MOVED_TO

// New begins a watch on names in dir. It fails where there are no such watches, or none
// left for the user.
func New(dir *os.File, names ...string) (*Watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("watch a directory: %w", err)
	}
	// Not by its name, at which there may be another one by now.
	if _, err := unix.InotifyAddWatch(fd, fmt.Sprintf("/proc/self/fd/%d", dir.Fd()), touching|unix.IN_ONLYDIR); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("watch a directory: %w", err)
	}
	return &Watch{fd: fd, names: names}, nil
}

// Follow watches the file at path as well, by whatever name it is written to: a second one
// may come and go in another directory. It is called once; writes count as those of name.
// The file is not opened. (Before Linux 5.3 a lease on a file that is watched so is refused.)
func (w *Watch) Follow(path, name string) error {
	wd, err := unix.InotifyAddWatch(w.fd, path, unix.IN_MODIFY|unix.IN_DONT_FOLLOW)
	if err != nil {
		return fmt.Errorf("watch a file: %w", err)
	}
	w.file = wd
	w.names = append([]string{name}, slices.DeleteFunc(slices.Clone(w.names), func(n string) bool { return n == name })...)
	return nil
}

// Touched returns those names that were touched since New or the last call of Touched.
// An error is one for good.
func (w *Watch) Touched() (touched []string, err error) {
	buf := make([]byte, 64<<10)
	for w.err == nil {
		n, err := unix.Read(w.fd, buf)
		switch err {
		case nil:
			w.err = w.note(buf[:n], &touched)
		case unix.EAGAIN:
			return touched, nil
		case unix.EINTR:
		default:
			w.err = fmt.Errorf("read a directory's events: %w", err)
		}
	}
	return nil, w.err
}

// FD is the watch's descriptor, for those who read its events themselves, and have Names
// tell them what those say.
func (w *Watch) FD() int { return w.fd }

// Names returns the names that were touched according to events read from FD. An error
// is one for good.
func (w *Watch) Names(events []byte) (touched []string, err error) {
	if w.err == nil {
		w.err = w.note(events, &touched)
	}
	return touched, w.err
}

// note takes the names out of a buffer of struct inotify_event.
func (w *Watch) note(buf []byte, touched *[]string) error {
	for len(buf) >= unix.SizeofInotifyEvent {
		wd, mask := int(int32(binary.NativeEndian.Uint32(buf))), binary.NativeEndian.Uint32(buf[4:])
		size := int(binary.NativeEndian.Uint32(buf[12:]))
		if wd == w.file && wd != 0 { // also that it is gone
			add(touched, w.names[0])
			buf = buf[min(len(buf), unix.SizeofInotifyEvent+size):]
			continue
		}
		if mask&(unix.IN_Q_OVERFLOW|unix.IN_IGNORED|unix.IN_UNMOUNT) != 0 || len(buf) < unix.SizeofInotifyEvent+size {
			return ErrUnknown
		}
		name := string(bytes.TrimRight(buf[unix.SizeofInotifyEvent:][:size], "\x00"))
		if slices.Contains(w.names, name) {
			add(touched, name)
			if mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0 {
				add(&w.made, name)
			}
		}
		buf = buf[unix.SizeofInotifyEvent+size:]
	}
	return nil
}

func add(names *[]string, name string) {
	if !slices.Contains(*names, name) {
		*names = append(*names, name)
	}
}

// Made reports whether Touched or Names has seen the name be created, or a file moved
// there, since the last time that it was asked: what was there before may be gone.
func (w *Watch) Made(name string) bool {
	n := len(w.made)
	w.made = slices.DeleteFunc(w.made, func(m string) bool { return m == name })
	return len(w.made) < n
}

// Close ends the watch.
func (w *Watch) Close() { unix.Close(w.fd) }
