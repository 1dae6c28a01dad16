package sqlitefile

import (
	"fmt"
	"os"

	"hotswap/internal/unix"
)

// CheckWhole looks whether the file at path is a whole database, as far as its
// header and its length tell. Nobody in this process may open it through SQLite
// meanwhile: to close a descriptor of a file drops all locks that the process has
// on it (https://www.sqlite.org/howtocorrupt.html, section 2.2). One that is open
// in this process already must not be asked for.
func CheckWhole(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return CheckWholeFD(int(f.Fd()))
}

// CheckWholeFD is CheckWhole of an open file, whose descriptor it reads at offsets
// and does not close.
func CheckWholeFD(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("it is not a regular file (it is %s)", KindOf(ModeOf(uint32(st.Mode))))
	}
	head := make([]byte, HeaderSize)
	n, err := unix.Pread(fd, head, 0)
	if err != nil {
		return err
	}
	h, err := Parse(head[:n])
	if err != nil {
		return err
	}
	return h.Whole(st.Size)
}
