package livefile

import (
	"os"
	"time"

	"hotswap/internal/openers"
	"hotswap/internal/sqlitefile"
)

// A Stamp tells a database file, as it was when the stamp was taken, from what is
// written to it later. The zero value is of no file.
type Stamp struct {
	file     openers.Inode
	size     int64
	modified time.Time
	change   uint32 // the header's change counter
}

// StampOf takes the stamp of an open file that nobody can write to. If it can't be
// taken it is of no file, which loses nothing.
func StampOf(f *os.File) Stamp {
	info, err := f.Stat()
	if err != nil {
		return Stamp{}
	}
	file, ok := openers.InodeIn(info)
	h, err := sqlitefile.ReadHeader(f)
	if !ok || err != nil {
		return Stamp{}
	}
	return Stamp{file, info.Size(), info.ModTime(), h.Change}
}

// Unwritten reports whether the database at path is the file that the stamp was taken
// of, with nothing written to it since. It may be false although nothing was written
// (a WAL that was not truncated after its checkpoint), never true although something
// was.
func (s Stamp) Unwritten(path string) bool {
	if s == (Stamp{}) || sqlitefile.PendingSize(path) > 0 {
		return false
	}
	file, ok := openers.InodeOf(path)
	info, err := os.Stat(path)
	if !ok || err != nil || file != s.file || info.Size() != s.size || !info.ModTime().Equal(s.modified) {
		return false
	}
	// The clock of a file system may stand still for some milliseconds: a
	// program that writes at once, to a database without a WAL, may not move it.
	h, ok := header(file)
	return !ok || h.Change == s.change
}
