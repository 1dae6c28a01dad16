package swapper

import (
	"fmt"
	"os"
	"syscall"

	"hotswap/internal/printable"
)

// Opener is a process that has a database's file open.
type Opener struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
}

func (o Opener) String() string {
	return fmt.Sprintf("process %d (%s)", o.PID, printable.Line(o.Command))
}

// OpenersElsewhere lists the other processes that have the file at path open,
// of those that this one may look at: its own user's, or all for root. It
// needs Linux; elsewhere, and for a file that does not exist, there are none.
func OpenersElsewhere(path string) []Opener {
	dev, ino, ok := inodeOf(path)
	if !ok {
		return nil
	}
	return inLine(func() []Opener { return openersElsewhere(dev, ino) })
}

// JournalMode is "wal", "rollback", or "" while it is not known: no connection
// of this process has the database at path open, or the system is not Linux.
// It takes no lock and opens nothing, so it waits for nobody, whoever has the
// database locked. Which sort of rollback journal it is every connection
// decides for itself.
func JournalMode(path string) string {
	dev, ino, ok := inodeOf(path)
	if !ok {
		return ""
	}
	head := openHeader(dev, ino)
	switch {
	case head == nil:
		return ""
	case head[offReadVersion] == 2:
		return "wal"
	default:
		return "rollback"
	}
}

func inodeOf(path string) (dev, ino uint64, ok bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, 0, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return uint64(st.Dev), st.Ino, true
}
