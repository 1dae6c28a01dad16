package swapper

import (
	"errors"
	"fmt"
	"os"

	"hotswap/driver"
	"hotswap/internal/door"
	"hotswap/internal/printable"
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
		if len(door.Open(path)) == 0 {
			return &failure{
				text:  "its file was removed or moved away, and nothing has it open any more: calls are refused",
				kinds: []error{ErrNotExist},
				hint:  "move it back, or push another",
			}
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

// strange is the error of a file at the path that is not the program's.
func strange(err error) error {
	if !errors.Is(err, driver.ErrReplaced) {
		return failed("see whether the program uses the file at the path", err)
	}
	return &failure{text: "the program does not use the file that is at the path", cause: err, kinds: []error{ErrBusy}, hint: strangeHint}
}

// strangeHint is of what the program does not use: it must be gone, or another, before
// there can be a push or a pull. A program that refuses all others' files
// (driver.RefuseReplaced) wants the old one.
const strangeHint = "move a whole database there with mv, and the program goes on with that; or move this file away, and push; " +
	"or, if the program refuses what others put there, move the old one back or restart it"

// Lost says, if the database's file or its write-ahead log was taken away while
// this process has it open, what that means and what to do; else it is "". It
// opens nothing, and waits for nobody. Of the log it knows only on Linux.
func Lost(db *driver.Database) string {
	if err := lost(db); err != nil {
		return printable.Path(err.Error()+"; "+hintOf(err), db.Path())
	}
	return ""
}
