package livefile

import (
	"fmt"
	"os"
	"time"

	"hotswap/internal/openers"
	"hotswap/internal/sqlitefile"
)

// Unsound says what is wrong with the database file at path, as far as its length and
// its first page tell; "" if nothing is. That it finds nothing proves nothing:
// swapper.Pull with Check does.
func Unsound(path string) string {
	// A commit that is under way, or a checkpoint, writes the header before the pages
	// that it speaks of.
	const tries = 4
	text := unsound(path)
	for range tries - 1 {
		if text == "" {
			return ""
		}
		time.Sleep(10 * time.Millisecond)
		text = unsound(path)
	}
	return text
}

func unsound(path string) string {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return "" // nothing there yet, which is said elsewhere
	}
	size := info.Size()
	pending := sqlitefile.PendingSize(path) // what may still be missing
	if size < sqlitefile.SmallestPage && pending == 0 {
		return fmt.Sprintf("it has %d bytes, which is less than a page of a database", size)
	}
	file, ok := openers.InodeOf(path)
	if !ok {
		return ""
	}
	head := openers.Head(file, sqlitefile.HeadSize)
	if head == nil {
		return "" // nobody here has it open
	}
	if fault := sqlitefile.Fault(head); fault != "" {
		return fault
	}
	if want := sqlitefile.Decode(head).Size(); want-size > pending {
		return fmt.Sprintf("it is truncated: its header says %d bytes, and it has %d", want, size)
	}
	return ""
}
