// Package sqlitefile reads what a database file says of itself, without SQLite
// (https://www.sqlite.org/fileformat2.html#the_database_header).
package sqlitefile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// HeaderSize is the length of a database file's header in bytes.
const HeaderSize = 100

// Magic is what a database file begins with.
const Magic = "SQLite format 3\x00"

// Header is what a database file begins with.
type Header struct {
	PageSize int64
	// Pages is the size of the database in pages; 0 if the header does not tell,
	// as of a file that was last written by an SQLite before 3.7.0.
	Pages int64
	// WAL is set if the file is opened in write-ahead-log mode.
	WAL bool
}

// ErrEmpty is the error of a file without a byte in it.
var ErrEmpty = errors.New("the file is empty")

// Parse reads a header.
func Parse(head []byte) (h Header, err error) {
	switch {
	case len(head) == 0:
		return h, ErrEmpty
	case len(head) < HeaderSize:
		return h, fmt.Errorf("the file is cut: %d bytes are less than a database's header", len(head))
	case string(head[:len(Magic)]) != Magic:
		return h, fmt.Errorf("the file is no SQLite database: it begins with %q", head[:len(Magic)])
	}
	h.PageSize = int64(binary.BigEndian.Uint16(head[16:]))
	if h.PageSize == 1 {
		h.PageSize = 65536
	}
	if h.PageSize < 512 || h.PageSize&(h.PageSize-1) != 0 {
		return h, fmt.Errorf("the file is corrupt: its header says pages of %d bytes", h.PageSize)
	}
	h.WAL = head[19] == 2
	// The count is valid only if these two, the change counter and what it was when
	// the count was written, are equal.
	if string(head[24:28]) == string(head[92:96]) {
		h.Pages = int64(binary.BigEndian.Uint32(head[28:]))
	}
	return h, nil
}

// Whole returns an error that says what a file of this size lacks of the database
// that its header tells of. What is behind the last page SQLite passes over.
func (h Header) Whole(size int64) error {
	if want := h.Pages * h.PageSize; size < want {
		return fmt.Errorf("the file is cut: its header says %d bytes, and it has %d", want, size)
	}
	if h.Pages == 0 && size%h.PageSize != 0 {
		return fmt.Errorf("the file is cut: %d bytes are no whole number of %d-byte pages", size, h.PageSize)
	}
	return nil
}

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
		return errors.New("it is no regular file")
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
