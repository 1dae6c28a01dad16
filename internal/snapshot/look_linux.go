package snapshot

// #include "look.h"
import "C"

import (
	"unsafe"

	sqlite3 "github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"

	"hotswap/internal/interrupt"
)

func handleOf(c *sqlite3.SQLiteConn) (*C.sqlite3, error) {
	h, ok := interrupt.Of(c)
	if !ok {
		return nil, unable("this go-sqlite3 does not give its handle away")
	}
	return (*C.sqlite3)(h.Pointer()), nil
}

// lookAt looks at a connection that has a read transaction open.
func lookAt(c *sqlite3.SQLiteConn) (look, error) {
	found, reads, err := lookAnyway(c)
	if err == nil && !reads {
		return look{}, errNoTransaction
	}
	return found, err
}

// lookAnyway looks at a connection, and says whether it has a read transaction open.
func lookAnyway(c *sqlite3.SQLiteConn) (_ look, reads bool, err error) {
	db, err := handleOf(c)
	if err != nil {
		return look{}, false, err
	}
	found := C.struct_hotswap_look{main: -1, wal: -1}
	switch {
	case C.hotswap_look(db, &found) != 0:
		return look{}, false, unable("SQLite does not tell which files it has open")
	case found.unixVFS == 0:
		return look{}, false, unable("the VFS is not SQLite's own for Unix")
	}
	return look{main: int(found.main), wal: int(found.wal)}, found.transaction >= 1, nil
}

// LacksLog reports whether the database is in WAL mode and the connection, which has no
// transaction open, has not opened the WAL yet: it would look for that by its name.
func LacksLog(c *sqlite3.SQLiteConn) bool {
	files, _, err := lookAnyway(c)
	var versions [2]byte // https://www.sqlite.org/fileformat2.html#file_format_version_numbers
	if err != nil || files.main < 0 || files.wal >= 0 {
		return false
	}
	_, err = unix.Pread(files.main, versions[:], 18)
	return err == nil && versions[1] == 2
}

func readWALIndexHead(c *sqlite3.SQLiteConn) (head walIndexHead, err error) {
	db, err := handleOf(c)
	if err != nil {
		return head, err
	}
	var words [C.HOTSWAP_WALINDEX_HEAD / 4]C.uint32_t
	if C.hotswap_walindex(db, &words[0]) != 0 {
		return head, unable("the wal-index is not to be had")
	}
	return *(*walIndexHead)(unsafe.Pointer(&words)), nil
}
