package openers

import (
	"errors"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Here reports whether this process has the file open, by whatever code of it.
func Here(file Inode) (bool, error) {
	names, err := descriptors()
	if err != nil {
		return hereByNumber(file), nil
	}
	for _, name := range names {
		// By number: that is quicker than by path, and calls may be waiting.
		if fd, err := strconv.Atoi(name); err == nil && file.isOpenAs(fd) {
			return true, nil
		}
	}
	return false, err
}

// hereByNumber does without /proc, and takes longer.
func hereByNumber(file Inode) bool {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return true // who knows
	}
	for fd := range int(min(limit.Cur, 1<<20)) {
		if file.isOpenAs(fd) {
			return true
		}
	}
	return false
}

func (i Inode) isOpenAs(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) == nil && uint64(st.Dev) == i.Dev && st.Ino == i.Ino
}

// Blindness says why it can't be known who has a file open, be it another process
// or this one; "" if it can.
func Blindness() string {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		return "there is no /proc, which shows who has the file open"
	}
	return ""
}

// Head returns the first length bytes of the file, through a descriptor that this
// process has of it; nil if it has none, or the file is shorter. A descriptor may be
// closed, and its number be another file's, while it is read: a read at an offset
// changes nothing there, and it is looked at once more whose it was.
func Head(file Inode, length int) []byte {
	names, _ := descriptors()
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || !file.isOpenAs(fd) {
			continue
		}
		head := make([]byte, length)
		n, err := unix.Pread(fd, head, 0)
		if err == nil && n == length && file.isOpenAs(fd) {
			return head
		}
	}
	return nil
}

// Reopen opens the file once more, which may have lost its name, through a descriptor that
// this process has of it; nil if it has none. To close what it returns drops the locks that
// SQLite has on the file in this process, so it stays open for as long as anything else here
// has the file.
func Reopen(file Inode) (*os.File, error) {
	names, err := descriptors()
	for _, name := range names {
		if fd, err := strconv.Atoi(name); err != nil || !file.isOpenAs(fd) {
			continue
		}
		// The number may be another file's by now. What O_PATH opens stays the same file, and
		// drops no locks when it is closed.
		at, err := unix.Open("/proc/self/fd/"+name, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil || !file.isOpenAs(at) {
			unix.Close(at)
			continue
		}
		defer unix.Close(at)
		path := "/proc/self/fd/" + strconv.Itoa(at)
		f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
		if errors.Is(err, fs.ErrPermission) {
			f, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
		}
		return f, err
	}
	return nil, err
}

// Unlinked looks among the descriptors of this process for a file that was at path
// and has no name any more.
func Unlinked(path string) (descriptor string, found bool) {
	names, _ := descriptors()
	for _, name := range names {
		// Of thousands few have no name; and a file that has one may be called so.
		var st unix.Stat_t
		if fd, err := strconv.Atoi(name); err != nil || unix.Fstat(fd, &st) != nil || st.Nlink > 0 {
			continue
		}
		if link, err := os.Readlink("/proc/self/fd/" + name); err == nil && link == path+" (deleted)" {
			return name, true
		}
	}
	return "", false
}

// descriptors returns the numbers of this process's descriptors.
func descriptors() ([]string, error) {
	dir, err := openDescriptors("/proc/self")
	if err != nil {
		return nil, err
	}
	defer unix.Close(dir)
	return namesIn(dir)
}

// openDescriptors opens the directory of a process's descriptors. On a machine of
// hundreds of processes that is done hundreds of times for one push, so it is done
// without what os.Open does for a file that might have to be waited for.
func openDescriptors(proc string) (int, error) {
	return unix.Open(proc+"/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}

// namesIn returns the names in a directory, those that it found before an error, too.
func namesIn(dir int) (names []string, err error) {
	buf := make([]byte, 4096)
	for {
		n, err := unix.ReadDirent(dir, buf)
		if err != nil || n <= 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}
