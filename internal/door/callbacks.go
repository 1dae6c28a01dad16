package door

// #include <stdint.h>
import "C"

// SQLite calls these from within sqlite3_open_v2, ATTACH and sqlite3_close_v2: under
// its mutex of the connection and, with cache=shared, under those of the process. They
// take no locks but their own, and wait only for a path that is shut.

// SQLite's result codes (https://www.sqlite.org/rescode.html).
const (
	sqliteOK       = 0
	sqliteBusy     = 5
	sqliteCantOpen = 14
)

// HOTSWAP_SHARED and HOTSWAP_UNLOCKED in door.h.
const (
	howShared   = 1
	howUnlocked = 2
)

// found is set if the path is guarded and there is a file.
//
//export hotswapDoorEnter
func hotswapDoorEnter(name *C.char, how C.int, opener C.uintptr_t, token *C.int64_t, found *C.int) C.int {
	id, there, rc := all.enter(C.GoString(name), scopeOf(opener), how&howShared != 0, how&howUnlocked != 0)
	*token = C.int64_t(id)
	if there {
		*found = 1
	}
	return C.int(rc)
}

//export hotswapDoorOpened
func hotswapDoorOpened(token C.int64_t, moved, readOnly C.int) C.int {
	return C.int(all.opened(int64(token), moved != 0, readOnly != 0))
}

//export hotswapDoorClosed
func hotswapDoorClosed(token C.int64_t) { all.closed(int64(token)) }
