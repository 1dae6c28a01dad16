package swapper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"hotswap/internal/disk"
	"hotswap/internal/fileid"
	"hotswap/internal/sqlitefile"
	"hotswap/internal/unix"
)

// target is the live database's file as a push found it.
type target struct {
	path   string
	dir    string
	opened *os.File // dir, between openDir and closeDir
	exists bool
	state  fileState
	id     fileid.ID
	leads  func(path string) bool // whether the database's names still lead to the path
}

// empty reports whether there was no live database: no file, or one that was
// opened and never written to.
func (t *target) empty() bool { return !t.exists || t.state.size == 0 }

// checkDir refuses a directory in which no stage can be made; why says what for.
func checkDir(dir, why string) error {
	err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	if err == nil {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return &failure{text: "the directory " + dir + " is gone: it was renamed or removed while the program runs", cause: err, kinds: []error{ErrTarget},
			hint: "move it back; the program still has its files open, and uses them"}
	}
	hint := "give the program's user the right to write there"
	if errors.Is(err, unix.EROFS) {
		hint = "remount " + mountOf(dir) + " for reading and writing"
	}
	return &failure{
		text:  "the directory " + dir + " can't be written to",
		cause: err,
		kinds: []error{ErrNotPermitted},
		hint:  why + ": " + hint,
	}
}

// inspectTarget refuses what a rename can't replace without harm.
func inspectTarget(path string) (*target, error) {
	t := &target{path: path, dir: filepath.Dir(path)}
	state, err := lookAt(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return t, nil
	case err != nil:
		return nil, failed("inspect the target", err)
	case !state.mode.IsRegular():
		return nil, &failure{text: fmt.Sprintf("the target is not a regular file (it is %s)", sqlitefile.KindOf(state.mode)), kinds: []error{ErrTarget},
			hint: "name a database file"}
	}
	if err := t.oneName(state); err != nil {
		return nil, err
	}
	if err := checkReplaceable(path, "the target"); err != nil {
		return nil, err
	}
	t.exists, t.state, t.id = true, state, fileid.Of(path)
	return t, nil
}

// oneName refuses a file that has other names.
func (t *target) oneName(state fileState) error {
	if state.nlink <= 1 {
		return nil
	}
	return &failure{
		text:  fmt.Sprintf("the target has %d hard links: a rename would replace only this one, and in place SQLite would keep its journal beside this one alone", state.nlink),
		kinds: []error{ErrTarget},
		hint:  fmt.Sprintf("find the others with: find %s -xdev -inum %d, remove them, and try again", mountOf(t.dir), state.ino),
	}
}

// still returns the target's state now. It refuses one that is not the inspected file any
// longer, or that the database's names don't lead to.
func (t *target) still() (fileState, error) {
	if t.leads != nil && !t.leads(t.path) {
		return fileState{}, &failure{text: "something else replaced the live file meanwhile: a symlink on its path was pointed at another one",
			kinds: []error{ErrBusy}, hint: "find out what did, and try again"}
	}
	state, err := lookAt(t.path)
	if err != nil {
		return state, failed("inspect the live file", err)
	}
	return state, t.same(state)
}

// same refuses what is not the file that was inspected.
func (t *target) same(state fileState) error {
	if !state.is(t.state) {
		return errReplaced()
	}
	return nil
}

// errOvertaken: somebody else has put a file at the path.
var errOvertaken = errors.New("overtaken")

func errReplaced() error {
	return &failure{text: "something else replaced the live file meanwhile", kinds: []error{ErrBusy, errOvertaken}, hint: "find out what did, and try again"}
}

// stillEmpty refuses what was written into a database whose schema was not
// compared, since it had none.
func (t *target) stillEmpty(size int64) error {
	if t.empty() && size > 0 {
		return &failure{text: "the live database was empty and no longer is", kinds: []error{ErrBusy}, hint: "try again"}
	}
	return nil
}

// openDir opens the target's directory, so that a sync needs no descriptor more.
func (t *target) openDir() (err error) {
	if t.opened, err = os.Open(t.dir); err != nil {
		return failed("open the target's directory", err)
	}
	return nil
}

func (t *target) closeDir() { t.opened.Close() }

// syncDir makes the directory's entries durable.
func (t *target) syncDir() error {
	_, err := t.timedSyncDir()
	return err
}

// timedSyncDir is syncDir, and tells how long the disk took.
func (t *target) timedSyncDir() (time.Duration, error) {
	took, err := disk.Sync(t.opened)
	if err != nil {
		return 0, fmt.Errorf("fsync the directory %s: %w", t.dir, err)
	}
	return took, nil
}
