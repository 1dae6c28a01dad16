// Package cursor steps a go-sqlite3 statement through its rows, several in one call of
// C: with one a row, a third of a scan's time is the call itself and the mutex that
// SQLite takes for each column.
//
// A statement that is ahead of its reader must not show it. Which may be is decided by
// the [Program] that SQLite compiled, and what the rest of that needs is said at
// [Cursor.Fetch].
package cursor

/*
#cgo darwin LDFLAGS: -Wl,-undefined,dynamic_lookup
#cgo noescape hotswap_cursor_fetch
#cgo noescape hotswap_cursor_reread
#cgo nocallback hotswap_cursor_reread
#include <stdlib.h>
#include "cursor.h"
*/
import "C"

import (
	"sync"
	"unsafe"

	"hotswap/internal/interrupt"
)

// Supported is false where SQLite lacks a function that is needed, or go-sqlite3 waits
// for the locks of a shared cache (-tags sqlite_unlock_notify), which this does not.
var Supported = sync.OnceValue(func() bool { return C.hotswap_cursor_blocking() == 0 })

// Statement is SQLite's own handle of a statement, a sqlite3_stmt*; 0 for none. It is
// good until the statement is finalized.
type Statement C.uintptr_t

// Of returns the statement that a connection has of a text; 0 if it has none, or several.
func Of(h interrupt.Handle, text string) Statement {
	if text == "" {
		return 0
	}
	return Statement(C.hotswap_cursor_of(h.Pointer(), (*C.char)(unsafe.Pointer(unsafe.StringData(text))), C.int(len(text))))
}

// Compiled counts how often SQLite has compiled the statement anew, as it does when the
// schema has changed, or what was bound to a parameter.
func (s Statement) Compiled() int { return int(C.hotswap_cursor_compiled(C.uintptr_t(s))) }

// Memory is how many bytes SQLite has allocated for the statement.
func (s Statement) Memory() int { return int(C.hotswap_cursor_memory(C.uintptr_t(s))) }

// Reset ends what the statement has begun.
func (s Statement) Reset() { C.hotswap_cursor_reset(C.uintptr_t(s)) }

const (
	row  = 100 // SQLITE_ROW
	done = 101 // SQLITE_DONE

	// room is that for rows, in bytes, unless one row's cells need more.
	room = 16 << 10
	// most bounds the rows of one fetch.
	most = 64
)

// Cursor is a reader's place among the rows of a statement that has been stepped to its
// first. The zero Cursor is ready for Begin, and it can begin again.
type Cursor struct {
	stmt    Statement
	columns int
	read    int            // rows so far
	buffer  []int64        // so that it is aligned
	row     unsafe.Pointer // the current one, in buffer; nil for none
	left    int            // rows in the buffer after it
	digits  []byte         // of the current row's integers, where RawBytes are wanted
	raw     bool           // RawBytes were made of something other than bytes
}

// Begin places the cursor on the statement's first row, which somebody else has read, or
// Reread reads.
func (c *Cursor) Begin(s Statement, columns int) {
	c.stmt, c.columns, c.read, c.row, c.left, c.raw = s, columns, 1, nil, 0, false
	size := max(room, int(unsafe.Sizeof(C.struct_hotswap_fetched{}))+8+columns*int(unsafe.Sizeof(C.struct_hotswap_cell{}))) / 8
	if len(c.buffer) < size {
		c.buffer = make([]int64, size)
	}
	*c.fetched() = C.struct_hotswap_fetched{rc: row}
}

func (c *Cursor) fetched() *C.struct_hotswap_fetched {
	return (*C.struct_hotswap_fetched)(unsafe.Pointer(&c.buffer[0]))
}

// Buffered reports whether there is a row for Next.
func (c *Cursor) Buffered() bool { return c.left > 0 }

// More reports whether the statement has not been stepped to its end, or to an error.
func (c *Cursor) More() bool { return c.fetched().rc == row }

// Read returns how many rows the reader has had.
func (c *Cursor) Read() int { return c.read }

// Reread reads the first row for Next. It is false if the statement has none, or was not
// stepped to it yet.
func (c *Cursor) Reread() bool {
	C.hotswap_cursor_reread(C.uintptr_t(c.stmt), C.int(c.columns), unsafe.Pointer(&c.buffer[0]))
	c.left, c.read, c.row = int(c.fetched().rows), 0, nil
	return c.left > 0
}

// Direct reports whether what the current row's texts and blobs are read from is SQLite's.
func (c *Cursor) Direct() bool { return c.fetched().direct != 0 }

// Fetch steps the statement: once without a keeper, and with one up to as many times as
// there were rows so far, so that a reader who ends early has wasted no more than it has
// used. A text or a blob of a large row is left where SQLite has it.
//
// The keeper is a statement of the connection that reads of the same database and finds
// a row. While it is active, which it is until it is reset, the read transaction goes on,
// as it does with the last row not stepped over. In a transaction the statement is
// stepped once.
func (c *Cursor) Fetch(keeper Statement) {
	n := 1
	if keeper != 0 {
		n = min(c.read, most)
	}
	C.hotswap_cursor_fetch(C.uintptr_t(c.stmt), C.uintptr_t(keeper), C.int(n), C.int(c.columns), unsafe.Pointer(&c.buffer[0]), C.int64_t(8*len(c.buffer)))
	c.left = int(c.fetched().rows)
	c.row = nil
}

// Failed reports whether the last step failed. The rows before it are still there.
func (c *Cursor) Failed() bool { rc := c.fetched().rc; return rc != row && rc != done }

// Interrupted reports whether it failed as it was interrupted.
func (c *Cursor) Interrupted() bool { return c.fetched().rc&0xff == 9 } // SQLITE_INTERRUPT

// Next makes the next of the rows that are buffered the current one.
func (c *Cursor) Next() {
	if c.row == nil {
		c.row = unsafe.Add(unsafe.Pointer(&c.buffer[0]), unsafe.Sizeof(C.struct_hotswap_fetched{}))
	} else {
		c.row = unsafe.Add(c.row, *(*int64)(c.row))
	}
	c.left--
	c.read++
	c.digits = c.digits[:0]
}

func (c *Cursor) cell(i int) *C.struct_hotswap_cell {
	return (*C.struct_hotswap_cell)(unsafe.Add(c.row, 8+uintptr(i)*unsafe.Sizeof(C.struct_hotswap_cell{})))
}
