package snapshot

// #include "look.h"
import "C"

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// EmptyLog makes the WAL of the connection's main file durably empty. Each step is one
// that a power loss may follow:
//
//	SQLite syncs the WAL, moves its frames into the file, and syncs that
//	the file is synced        what other connections moved may not have been: they may have
//	                          synchronous=OFF
//	the WAL is truncated      all that it held is durable in the file
//	the WAL is synced         what comes back is empty
//
// The file is synced by SQLite's own descriptor: to open it for that, and close it again,
// would drop the locks of the process's connections. log is the WAL, opened by its name.
//
// For readers of what is to be moved it waits for patience and no longer, and then for
// those of what has been moved as long again: Emptied says how far it came. watch is a descriptor of
// inotify(7), whose events are read into buffer right before the WAL is truncated, and
// right after.
func EmptyLog(c *sqlite3.SQLiteConn, log *os.File, patience time.Duration, watch int, buffer []byte) (Emptied, error) {
	db, err := handleOf(c)
	if err != nil {
		return Emptied{}, err
	}
	var pinned runtime.Pinner
	defer pinned.Unpin()
	pinned.Pin(&buffer[0])
	events := C.struct_hotswap_events{fd: C.int(watch), room: C.int(len(buffer)), buffer: (*C.char)(unsafe.Pointer(&buffer[0]))}
	var step C.enum_hotswap_step
	rc := C.hotswap_empty_log(db, C.int(log.Fd()), C.int(patience.Microseconds()), &events, &step)
	runtime.KeepAlive(log)
	if rc != 0 {
		return Emptied{}, settleFailed(rc, step)
	}
	return Emptied{
		Moved: step != C.HOTSWAP_UNMOVED, Done: step == C.HOTSWAP_DONE,
		Before: buffer[:events.before], Within: buffer[events.before:events.all],
	}, nil
}

// EndJournal makes durable what the connection's main file holds, and the removal of
// the journal, which SQLite syncs only with synchronous=EXTRA.
func EndJournal(c *sqlite3.SQLiteConn, directory *os.File) error {
	db, err := handleOf(c)
	if err != nil {
		return err
	}
	var step C.enum_hotswap_step
	rc := C.hotswap_end_journal(db, C.int(directory.Fd()), &step)
	runtime.KeepAlive(directory)
	if rc != 0 {
		return settleFailed(rc, step)
	}
	return nil
}

func settleFailed(rc C.int, step C.enum_hotswap_step) error {
	if rc < 0 {
		return unable(fmt.Sprintf("SQLite's files, or a watch on them, can't be used as they should be (step %d)", step))
	}
	err := sqlite3.Error{Code: sqlite3.ErrNo(rc & 0xff), ExtendedCode: sqlite3.ErrNoExtended(rc)}
	switch step {
	case C.HOTSWAP_SYNC_FILE:
		return &SyncError{Of: "the database", Err: err}
	case C.HOTSWAP_SYNC_LOG:
		return &SyncError{Of: "the WAL", Err: syscall.Errno(rc)}
	case C.HOTSWAP_SYNC_DIRECTORY:
		return &SyncError{Of: "the directory", Err: syscall.Errno(rc)}
	}
	return err
}
