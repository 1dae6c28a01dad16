package livefile

import (
	"fmt"
	"os"

	"hotswap/driver"
	"hotswap/internal/door"
	"hotswap/internal/openers"
)

// A LostError says that a database's file, or its write-ahead log, was removed or moved
// away by somebody while connections of this process have it open. The program goes on
// reading and writing what has no name any more, so nobody notices. What is in such a
// WAL ends with its last connection: a push would lose acknowledged writes by closing
// those, and a connection that is opened now finds another WAL, or none, where the
// index has pages in it.
type LostError struct {
	WAL  bool   // the log is lost, not the file
	What string // what happened, and what it means
	Hint string // what to do
}

func (e *LostError) Error() string { return e.What + "; " + e.Hint }

// Lost returns a *LostError if the database's file or its log is lost, else nil. Of the
// log it knows on Linux only.
func Lost(db *driver.Database) error {
	path := db.Path()
	file, exists := openers.InodeOf(path)
	if exists {
		return openers.InTurn(func() error { return lostWAL(path, file) })
	}
	switch {
	case db.Stats().Connections == 0:
		return nil
	case len(door.Open(path)) == 0:
		return &LostError{
			What: "its file was removed or moved away, and nothing has it open any longer: calls are refused",
			Hint: "move it back, or push another",
		}
	}
	return &LostError{
		What: "its file was removed or moved away while the program has it open: what the program writes is lost when it ends",
		Hint: "move it back; or pull it, which still works, and push that copy; or push another, with --backup to keep this one",
	}
}

func lostWAL(path string, file openers.Inode) error {
	// A file that was replaced, too, is released by the driver itself.
	if open, _ := openers.Here(file); !open {
		return nil
	}
	fd, gone := openers.Unlinked(path + "-wal")
	if !gone {
		return nil
	}
	return &LostError{
		WAL: true,
		What: "its -wal was removed or replaced while the program has it open: " +
			"what was written since the last checkpoint is in a file without a name, and lost when the program ends",
		Hint: fmt.Sprintf("keep it first (cp %s rescued.sqlite3; cp /proc/%d/fd/%s rescued.sqlite3-wal), then restart the program and push rescued.sqlite3",
			path, os.Getpid(), fd),
	}
}
