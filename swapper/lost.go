package swapper

import (
	"fmt"
	"os"

	"hotswap/driver"
)

// lost is the error of a database whose file, or write-ahead log, was removed or
// moved away by somebody while connections of this process have it open; nil of
// any other. The program goes on reading and writing what has no name any more,
// so nobody notices. What is in such a WAL ends with its last connection: a push
// would lose acknowledged writes by closing those, and a connection that is
// opened now finds another WAL, or none, where the index has pages in it.
func lost(db *driver.Database) error {
	path := db.Path()
	dev, ino, exists := inodeOf(path)
	if !exists {
		if db.Stats().Connections == 0 {
			return nil
		}
		return &failure{
			text:  "its file was removed or moved away while the program has it open: what the program writes is lost when it ends",
			kinds: []error{ErrNotExist},
			hint:  fmt.Sprintf("move it back, or copy it and its -wal from /proc/%d/fd, where they are marked (deleted); or push another", os.Getpid()),
		}
	}
	return inLine(func() error { return lostWAL(path, dev, ino) })
}

func lostWAL(path string, dev, ino uint64) error {
	// Of a file that was replaced, too, the driver lets go by itself.
	if open, _ := openedHere(dev, ino); !open {
		return nil
	}
	if fd, gone := findUnlinked(path + "-wal"); gone {
		return &failure{
			text: "its -wal was removed or replaced while the program has it open: " +
				"what was written since the last checkpoint is in a file without a name, and lost when the program ends",
			kinds: []error{ErrTarget},
			hint: fmt.Sprintf("keep it first (cp %s rescued.sqlite3; cp /proc/%d/fd/%s rescued.sqlite3-wal), then restart the program and push rescued.sqlite3",
				path, os.Getpid(), fd),
		}
	}
	return nil
}

// Lost says, if the database's file or its write-ahead log was taken away while
// this process has it open, what that means and what to do; else it is "". It
// opens nothing, and waits for nobody. Of the log it knows only on Linux.
func Lost(db *driver.Database) string {
	if err := lost(db); err != nil {
		return err.Error() + "; " + hintOf(err)
	}
	return ""
}
