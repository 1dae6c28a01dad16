// Package sqlitefile knows SQLite's files: the header of a database, what belongs
// beside it, and how its content is copied page by page
// (https://www.sqlite.org/fileformat2.html).
package sqlitefile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// HeaderSize is the length of a database file's header in bytes.
	HeaderSize = 100
	// HeadSize is the length of the header and of that of the root page behind it.
	HeadSize = HeaderSize + 8

	magic = "SQLite format 3\x00"
)

// The header (https://www.sqlite.org/fileformat2.html#the_database_header).
const (
	offPageSize  = 16
	offVersions  = 18 // for writing, and for reading
	offFractions = 21
	offChange    = 24
	offPages     = 28
	offEncoding  = 56
	offValidFor  = 92
)

// Header is what a database file's header says, true or not.
type Header struct {
	PageSize int64 // in bytes
	// Pages is the size of the database in pages; 0 if the header does not tell, as
	// of a file that was last written by an SQLite before 3.7.0.
	Pages    int64
	Versions Versions
	// Change counts the transactions that wrote the file; not those of a WAL.
	Change uint32
	// Encoding is of text: 1 for UTF-8, 2 for UTF-16le, 3 for UTF-16be, 0 for none yet.
	Encoding uint32
}

// HasMagic reports whether a file that begins with head is a database.
func HasMagic(head []byte) bool { return len(head) >= HeaderSize && string(head[:len(magic)]) == magic }

// Decode reads a header, which must have HeaderSize bytes.
func Decode(head []byte) Header {
	h := Header{
		PageSize: int64(binary.BigEndian.Uint16(head[offPageSize:])),
		Versions: Versions(head[offVersions:]),
		Change:   binary.BigEndian.Uint32(head[offChange:]),
		Encoding: binary.BigEndian.Uint32(head[offEncoding:]),
	}
	if h.PageSize == 1 {
		h.PageSize = 65536
	}
	// The count is valid only if these two, the change counter and what it was when
	// the count was written, are equal.
	if h.Change == binary.BigEndian.Uint32(head[offValidFor:]) {
		h.Pages = int64(binary.BigEndian.Uint32(head[offPages:]))
	}
	return h
}

// ReadHeader decodes the header of an open file, whatever its magic.
func ReadHeader(f io.ReaderAt) (Header, error) {
	head := make([]byte, HeaderSize)
	if _, err := f.ReadAt(head, 0); err != nil {
		return Header{}, err
	}
	return Decode(head), nil
}

// Size returns the size of the database in bytes; 0 if the header does not tell.
func (h Header) Size() int64 { return h.Pages * h.PageSize }

// ValidPageSize reports whether the page size is one that a database may have.
func (h Header) ValidPageSize() bool {
	return h.PageSize >= SmallestPage && h.PageSize <= 65536 && h.PageSize&(h.PageSize-1) == 0
}

// SmallestPage is the smallest page size in bytes.
const SmallestPage = 512

// Versions are the file format versions of a header, for writing and for reading: 1
// with a rollback journal, 2 in WAL mode.
type Versions [2]byte

// WAL reports whether a file of these versions is opened in WAL mode.
func (v Versions) WAL() bool { return v[1] == 2 }

// Rollback reports whether a file of these versions is opened with a rollback journal,
// by whoever reads or writes it.
func (v Versions) Rollback() bool { return v == Versions{1, 1} }

// WriteTo writes the versions into the header of a file that no connection has open.
func (v Versions) WriteTo(f io.WriterAt) error {
	if _, err := f.WriteAt(v[:], offVersions); err != nil {
		return fmt.Errorf("write the journal mode to the header: %w", err)
	}
	return nil
}

// SetJournal writes into the header of a file whether it is opened in WAL mode or with
// a rollback journal. No connection may have the file open.
func SetJournal(f io.WriterAt, wal bool) error {
	if wal {
		return Versions{2, 2}.WriteTo(f)
	}
	return Versions{1, 1}.WriteTo(f)
}

const leafTable, interiorTable = 0x0d, 0x05

// Fault says what SQLite would refuse of a file that begins with head, of HeadSize
// bytes; "" if nothing.
func Fault(head []byte) string {
	switch h := Decode(head); {
	case !HasMagic(head):
		return fmt.Sprintf("it begins with %q, which no database does", head[:len(magic)])
	case !h.ValidPageSize():
		return fmt.Sprintf("its header says pages of %d bytes", h.PageSize)
	case [3]byte(head[offFractions:]) != [3]byte{64, 32, 32}, h.Encoding > 3:
		return "its header is not one of a database"
	case head[HeaderSize] != leafTable && head[HeaderSize] != interiorTable:
		return "the page that its schema begins on is damaged"
	}
	return ""
}

// ErrEmpty is the error of a file without a byte in it.
var ErrEmpty = errors.New("the file is empty")

// Parse decodes the header of a file that begins with head, and refuses what is none.
func Parse(head []byte) (Header, error) {
	switch {
	case len(head) == 0:
		return Header{}, ErrEmpty
	case !strings.HasPrefix(magic, string(head[:min(len(magic), len(head))])):
		return Header{}, fmt.Errorf("the file is not an SQLite database: it begins with %q", head[:min(len(magic), len(head))])
	case len(head) < HeaderSize:
		return Header{}, fmt.Errorf("the file is truncated: %d bytes are less than a database's header", len(head))
	}
	h := Decode(head)
	if !h.ValidPageSize() {
		return Header{}, fmt.Errorf("the file is corrupt: its header says pages of %d bytes", h.PageSize)
	}
	return h, nil
}

// Whole returns an error that says what a file of size bytes lacks of the database
// that its header tells of. What is behind the last page SQLite passes over.
func (h Header) Whole(size int64) error {
	if want := h.Size(); size < want {
		return fmt.Errorf("the file is truncated: its header says %d bytes, and it has %d", want, size)
	}
	if h.Pages == 0 && size%h.PageSize != 0 {
		return fmt.Errorf("the file is truncated: its %d bytes are not a multiple of the page size, %d", size, h.PageSize)
	}
	return nil
}
