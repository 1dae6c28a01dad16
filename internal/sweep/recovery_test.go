//go:build linux && (amd64 || arm64)

package sweep

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"hotswap/swapper"
)

// recovery is what a program does when it starts, with its database open.
func recovery(v *victim) (r swapper.Report, err error) {
	r.Swapped = true // by the push that was killed
	if _, err := swapper.RemoveOrphans(v.path); err != nil {
		return r, &swapper.Error{Op: "recover", Path: v.path, Err: err, Hint: "the new database IS live"}
	}
	return r, nil
}

// leftover makes a file and gives it an orphan's name, of which the numbers are up
// to its inode's.
func leftover(path, id string, data []byte, end func(own uint64) string) error {
	name := filepath.Join(filepath.Dir(path), ".tmp")
	if err := os.WriteFile(name, data, 0o640); err != nil {
		return err
	}
	return os.Rename(name, filepath.Join(filepath.Dir(path), ".live.sqlite3.hotswap-"+id+"."+end(inode(name))))
}

func inode(path string) uint64 {
	var st syscall.Stat_t
	if syscall.Stat(path, &st) != nil {
		return 0
	}
	return st.Ino
}

// leaveOfRename leaves every sort of file that a push by rename may leave.
func leaveOfRename(f *fixture, path string) error {
	live := inode(path)
	return errors.Join(
		leftover(path, "AAAAAAAAAAAA", f.written, func(own uint64) string { return fmt.Sprintf("backup-%x-%x", live, own) }),
		leftover(path, "BBBBBBBBBBBB", f.written, func(own uint64) string { return fmt.Sprintf("undo-%x-%x", live, own) }),
		leftover(path, "CCCCCCCCCCCC", f.image, func(own uint64) string { return fmt.Sprintf("backup-%x-%x", own, live) }),
		leftover(path, "DDDDDDDDDDDD", f.moved, func(own uint64) string { return fmt.Sprintf("undo-%x-%x", live, live) }),
		leftover(path, "EEEEEEEEEEEE", f.image, func(uint64) string { return "stage" }),
		os.WriteFile(path+"~", f.fresh, 0o640), os.WriteFile(path+"~-wal", []byte("an older backup's"), 0o640),
	)
}

// leaveOfInPlace leaves the copy of what was overwritten, and another of what was not.
func leaveOfInPlace(f *fixture, path string) error {
	live := inode(path)
	return errors.Join(
		leftover(path, "AAAAAAAAAAAA", f.written, func(uint64) string { return fmt.Sprintf("copy-%x-%x", 0x7777, live) }),
		leftover(path, "BBBBBBBBBBBB", f.image, func(uint64) string { return fmt.Sprintf("copy-%x-%x", f.cookie, live) }),
	)
}
