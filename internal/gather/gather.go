// Package gather makes large writes out of the small ones in which SQLite writes its log
// or its rollback journal: two or three for each page, which take more of the processor's
// time than the copying itself.
//
// What is gathered is a view of the file: it can be read, cut and overwritten, and the
// file's size counts it. It is written out before the file is synced, truncated or
// closed, and if that fails it is still there, and the next such call fails, too, or
// succeeds.
//
// That is enough for SQLite only if it syncs what it relies on. A log's frames are
// synced before the header of its index lets others see them, and a journal before
// a page of the database that it has the old content of is written: with
// synchronous=FULL or EXTRA (https://www.sqlite.org/pragma.html#pragma_synchronous). The
// database's own file can't be gathered: a checkpoint that readers keep from its
// end lets others read what it has written, without a sync.
package gather

/*
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup
#include "gather.h"
*/
import "C"

import (
	"errors"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/interrupt"
)

// Journal has the writes of the connection's log, or of its journal, gathered until that
// is closed. The connection must have synchronous=FULL or EXTRA. SQLite opens the file
// when a transaction begins to write: if it is not open, or gathers already, nothing is
// done.
func Journal(c *sqlite3.SQLiteConn) error {
	h, ok := interrupt.Of(c)
	if !ok {
		return errors.New("gather: a connection that go-sqlite3 does not show")
	}
	if rc := C.hotswap_gather(h.Pointer()); rc != 0 {
		return sqlite3.ErrNo(rc)
	}
	return nil
}
