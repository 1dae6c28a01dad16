package swapper

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"
)

// Unsound says what is wrong with the database file at path, as far as its length
// and its first page tell; "" if nothing is. It takes no lock and opens nothing: it
// reads through a descriptor of this process's own connections, if there is one, on
// Linux. That it finds nothing proves nothing; Pull with Check does.
func Unsound(path string) string {
	// A commit that is under way, or a checkpoint, writes the header before the pages
	// that it speaks of.
	const looks = 4
	text := unsound(path)
	for range looks - 1 {
		if text == "" {
			return ""
		}
		time.Sleep(10 * time.Millisecond)
		if again := unsound(path); again != text {
			text = again
		}
	}
	return text
}

func unsound(path string) string {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return "" // nothing there yet, which is said elsewhere
	}
	size := info.Size()
	beside := fileSize(path+"-wal") + fileSize(path+"-journal") // what may still be missing
	if size < smallestPage && beside == 0 {
		return fmt.Sprintf("it has %d bytes, which is less than a page of a database", size)
	}
	dev, ino, ok := inodeOf(path)
	if !ok {
		return ""
	}
	head := openHead(dev, ino, rootEnd)
	if head == nil {
		return "" // nobody here has it open
	}
	if fault := headerFault(head); fault != "" {
		return fault
	}
	pageSize := pageSizeOf(head)
	pages := int64(binary.BigEndian.Uint32(head[offPages:]))
	counted := pages > 0 && binary.BigEndian.Uint32(head[offChange:]) == binary.BigEndian.Uint32(head[offValidFor:])
	if missing := pages*pageSize - size; counted && missing > beside {
		return fmt.Sprintf("it is cut: its header says %d bytes, and it has %d", pages*pageSize, size)
	}
	return ""
}

const (
	smallestPage = 512
	// rootEnd is where the header of the schema's root page ends, behind the file's.
	rootEnd = headerSize + 8

	offFractions = 21

	leafTable, interiorTable = 0x0d, 0x05
)

// headerFault says what SQLite would refuse of a file that begins with head
// (https://www.sqlite.org/fileformat2.html#the_database_header).
func headerFault(head []byte) string {
	encoding := binary.BigEndian.Uint32(head[offEncoding:])
	switch size := pageSizeOf(head); {
	case string(head[:len(headerMagic)]) != headerMagic:
		return fmt.Sprintf("it begins with %q, which no database does", head[:len(headerMagic)])
	case size < smallestPage || size > 65536 || size&(size-1) != 0:
		return fmt.Sprintf("its header says pages of %d bytes", size)
	case [3]byte(head[offFractions:]) != [3]byte{64, 32, 32}, encoding > 3:
		return "its header is not one of a database"
	case head[headerSize] != leafTable && head[headerSize] != interiorTable:
		return "the page that its schema begins on is damaged"
	}
	return ""
}

func pageSizeOf(head []byte) int64 {
	size := int64(binary.BigEndian.Uint16(head[offPageSize:]))
	if size == 1 {
		return 65536
	}
	return size
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
