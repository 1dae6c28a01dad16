package snapshot

// #include "look.h"
import "C"

import (
	"unsafe"

	sqlite3 "github.com/mattn/go-sqlite3"

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
	db, err := handleOf(c)
	if err != nil {
		return look{}, err
	}
	found := C.struct_hotswap_look{main: -1, wal: -1}
	switch {
	case C.hotswap_look(db, &found) != 0:
		return look{}, unable("SQLite does not tell which files it has open")
	case found.transaction < 1:
		return look{}, errNoTransaction
	case found.unixVFS == 0:
		return look{}, unable("the VFS is not SQLite's own for Unix")
	}
	return look{main: int(found.main), wal: int(found.wal)}, nil
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
