//go:build !linux

package snapshot

import (
	"errors"
	"os"
	"syscall"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// This has been tried on Linux only.

func lookAt(*sqlite3.SQLiteConn) (look, error) { return look{}, unable("this system is not Linux") }

func readWALIndexHead(*sqlite3.SQLiteConn) (walIndexHead, error) {
	return walIndexHead{}, unable("this system is not Linux")
}

// LacksLog is not for this system.
func LacksLog(*sqlite3.SQLiteConn) bool { return false }

func checkFile(int, string) error { return unable("this system is not Linux") }

type descriptor int

func (descriptor) SyscallConn() (syscall.RawConn, error)   { return nil, errors.ErrUnsupported }
func (descriptor) ReadAt(p []byte, off int64) (int, error) { return 0, errors.ErrUnsupported }

// File returns a Dest that is never used on this system.
func File(*os.File) Dest { return nil }

// EmptyLog is not for this system.
func EmptyLog(*sqlite3.SQLiteConn, *os.File, time.Duration, int, []byte) (Emptied, error) {
	return Emptied{}, unable("this system is not Linux")
}

// EndJournal is not for this system.
func EndJournal(*sqlite3.SQLiteConn, *os.File) error { return unable("this system is not Linux") }
