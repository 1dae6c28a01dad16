package swapper

import "hotswap/internal/sqlitefile"

const (
	completeHint  = "send a complete SQLite database file"
	truncatedHint = "send all of it; to copy a database that is in use: sqlite3 FILE \".backup 'new.sqlite3'\""
	tailHint      = "they may be preallocated space: make a copy without them with: sqlite3 FILE \"VACUUM INTO 'new.sqlite3'\""
	wholeHint     = completeHint + ": this one was truncated, or has something behind the database, which this removes: sqlite3 FILE \"VACUUM INTO 'new.sqlite3'\""
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
	case len(head) < sqlitefile.HeaderSize:
		return bad(completeHint, "the source is not an SQLite database: %d bytes are less than a header", len(head))
	case !sqlitefile.HasMagic(head):
		return bad(completeHint, "the source is not an SQLite database: it begins with %q", head[:16])
	}
	return nil
}

// checkLength compares the file's length with what its header says: a stream
// that was truncated at a page boundary is a well-formed smaller file to SQLite.
func checkLength(h sqlitefile.Header, size int64) error {
	if !h.ValidPageSize() {
		return bad(completeHint, "the source is corrupt: its header says pages of %d bytes", h.PageSize)
	}
	for _, v := range h.Versions {
		if v != 1 && v != 2 {
			return bad("make it with a version of SQLite that the program's own can read", "the source has an unknown file format version %d", v)
		}
	}
	if want := h.Size(); want > 0 {
		switch {
		case size < want:
			return bad(truncatedHint, "the source is truncated: %d of its %d bytes are missing", want-size, want)
		case size > want:
			return bad(tailHint, "the source is too long: its header says %d bytes, and %d more follow them", want, size-want)
		}
		return nil
	}
	if rest := size % h.PageSize; rest != 0 {
		return bad(wholeHint, "the source's size is not a multiple of the page size: %d bytes are %d pages of %d bytes, and %d bytes more",
			size, size/h.PageSize, h.PageSize, rest)
	}
	return nil
}
