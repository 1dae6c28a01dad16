package swapper

import (
	"encoding/binary"
	"os"
	"time"
)

// Stamp is by what one tells that nothing has been written to a database since
// it was pushed.
type Stamp struct {
	dev, ino uint64
	size     int64
	modified time.Time
	change   uint32 // the header's change counter
}

// stamp is taken of the stage as it will be live, while nobody can write to it.
func (s *stage) stamp() *Stamp {
	dev, ino, ok := inodeOf(s.path)
	info, err := s.file.Stat()
	head := make([]byte, headerSize)
	if _, readErr := s.file.ReadAt(head, 0); !ok || err != nil || readErr != nil {
		return nil // then it is never unwritten, which loses nothing
	}
	return &Stamp{dev, ino, info.Size(), info.ModTime(), changeOf(head)}
}

func changeOf(head []byte) uint32 { return binary.BigEndian.Uint32(head[offChange:]) }

// Unwritten reports whether the database at path is the file that the stamp
// was taken of, with nothing written to it since. It opens nothing and takes no
// lock. It may be false although nothing was written (a -wal that was not cut
// after its checkpoint), never true although something was.
func (s *Stamp) Unwritten(path string) bool {
	if s == nil {
		return false
	}
	for _, suffix := range []string{"-wal", "-journal"} {
		if info, err := os.Stat(path + suffix); err == nil && info.Size() > 0 {
			return false
		}
	}
	dev, ino, ok := inodeOf(path)
	info, err := os.Stat(path)
	if !ok || err != nil || dev != s.dev || ino != s.ino || info.Size() != s.size || !info.ModTime().Equal(s.modified) {
		return false
	}
	// The clock of a file system may stand still for some milliseconds: a
	// program that writes at once, to a database without a WAL, may not move it.
	head := openHeader(dev, ino)
	return head == nil || changeOf(head) == s.change
}
