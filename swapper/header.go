package swapper

import (
	"encoding/binary"
	"fmt"
	"os"
)

// The database header (https://www.sqlite.org/fileformat2.html#the_database_header).
const (
	headerSize  = 100
	headerMagic = "SQLite format 3\x00"

	offPageSize     = 16
	offWriteVersion = 18 // 1: rollback journal, 2: WAL
	offReadVersion  = 19
	offChange       = 24
	offPages        = 28
	offEncoding     = 56
	offValidFor     = 92
)

const (
	completeHint = "send a complete SQLite database file"
	cutHint      = completeHint + "; of one that is in use, make a copy with: sqlite3 FILE \".backup 'new.sqlite3'\""
	tailHint     = "they may be space that was preallocated: make a database without them with: sqlite3 FILE \"VACUUM INTO 'new.sqlite3'\""
	wholeHint    = completeHint + ": this one was cut, or has something behind it, of which it is rid by: sqlite3 FILE \"VACUUM INTO 'new.sqlite3'\""
)

// checkMagic looks at the first bytes of a source, so that noise is refused
// before the rest of it is received.
func checkMagic(head []byte) error {
	if err := checkForeign(head); err != nil {
		return err
	}
	switch {
	case len(head) == 0:
		return bad(completeHint, "the source is empty (0 bytes)")
	case len(head) < headerSize:
		return bad(completeHint, "the source is not an SQLite database: %d bytes are less than a header", len(head))
	case string(head[:len(headerMagic)]) != headerMagic:
		return bad(completeHint, "the source is not an SQLite database: it begins with %q", head[:len(headerMagic)])
	}
	return nil
}

// checkLength compares the file's length with what its header says: a stream
// that was cut at a page boundary is a well-formed smaller file to SQLite.
func checkLength(h []byte, size int64) error {
	pageSize := pageSizeOf(h)
	if pageSize < 512 || pageSize > 65536 || pageSize&(pageSize-1) != 0 {
		return bad(completeHint, "the source is corrupt: its header says pages of %d bytes", pageSize)
	}
	for _, off := range []int{offWriteVersion, offReadVersion} {
		if v := h[off]; v != 1 && v != 2 {
			return bad("make it with a version of SQLite that this program has", "the source has an unknown file format version %d", v)
		}
	}
	// The count is valid only if the file was last written by an SQLite that
	// keeps it, which these two fields tell.
	pages := int64(binary.BigEndian.Uint32(h[offPages:]))
	if pages > 0 && binary.BigEndian.Uint32(h[offChange:]) == binary.BigEndian.Uint32(h[offValidFor:]) {
		switch want := pages * pageSize; {
		case size < want:
			return bad(cutHint, "the source is cut: its header says %d bytes, and %d arrived: %d are missing", want, size, want-size)
		case size > want:
			return bad(tailHint, "the source is too long: its header says %d bytes, and behind the database are %d bytes more", want, size-want)
		}
		return nil
	}
	if rest := size % pageSize; rest != 0 {
		return bad(wholeHint, "the source is no whole number of pages: %d bytes are %d pages of %d bytes, and %d bytes more",
			size, size/pageSize, pageSize, rest)
	}
	return nil
}

// journalIsWAL reads the journal mode from the header.
func journalIsWAL(f *os.File) (bool, error) {
	var v [1]byte
	_, err := f.ReadAt(v[:], offReadVersion)
	return v[0] == 2, err
}

// setJournalVersion writes the header's file format versions: whether the file
// is opened in WAL mode. No connection may be open on it.
func setJournalVersion(f *os.File, wal bool) error {
	v := byte(1)
	if wal {
		v = 2
	}
	if _, err := f.WriteAt([]byte{v, v}, offWriteVersion); err != nil {
		return fmt.Errorf("write the journal mode to the header: %w", err)
	}
	return nil
}
