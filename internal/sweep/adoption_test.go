//go:build linux && (amd64 || arm64)

package sweep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/driver"
	"hotswap/swapper"
)

// adoption is what a program does of which somebody has just moved another file over
// the live one. That one has the other's name then, so that it can be looked at.
func adoption(v *victim) (r swapper.Report, err error) {
	moved := filepath.Join(filepath.Dir(filepath.Dir(v.path)), movedFile)
	if err := unix.Renameat2(unix.AT_FDCWD, moved, unix.AT_FDCWD, v.path, unix.RENAME_EXCHANGE); err != nil {
		return r, err
	}
	r.Swapped = true
	err = v.db.CheckFile(context.Background())
	if errors.Is(err, driver.ErrReplaced) { // it goes on with the old file, and says so
		err = nil
	}
	return r, err
}

// long ago: nobody writes to the file any more.
func (f *fixture) ageMoved(dir string) error {
	ago := time.Now().Add(-time.Hour)
	return os.Chtimes(filepath.Join(dir, movedFile), ago, ago)
}

// inspectAdopted is inspect of a file that was moved there: it is as it was, and what
// was acknowledged before is in the old one, with the WAL that may still be beside the
// new one, if the program was killed before it could see to that.
func (f *fixture) inspectAdopted(dir string, o *outcome) (s state, wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	path, old := filepath.Join(dir, databaseFile), filepath.Join(dir, movedFile)
	live, err := os.ReadFile(path)
	if err != nil {
		return stateNone, []string{err.Error()}
	}
	if o == nil && !bytes.Equal(live, f.moved) {
		s, err := f.stateOf(path) // before the move
		if err != nil || s != stateOld {
			say("the old database, before the move: %v", err)
		}
		return s, wrong
	}
	var left []string
	for _, pattern := range []string{"-wal", "-wal.of-replaced-*", "-journal"} {
		found, _ := filepath.Glob(path + pattern)
		left = append(left, found...)
	}
	if o != nil && len(left) > 0 && len(o.Proofs) == 0 {
		say("left beside the new file: %v", left)
	}
	// The old file with what was its own.
	was := filepath.Join(dir, "was")
	for _, suffix := range []string{"", "-wal"} {
		from := old
		if suffix != "" {
			from = path + suffix
			if o != nil {
				continue // it is the new one's
			}
		}
		data, err := os.ReadFile(from)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := errors.Join(err, os.WriteFile(was+suffix, data, 0o600)); err != nil {
			return stateNone, []string{err.Error()}
		}
	}
	if got, err := digestFile(was); err != nil || got != f.old {
		say("the old database has not what was acknowledged: %s, %v", describe(was), err)
	}
	if o == nil {
		return stateNew, wrong
	}
	for _, p := range o.Proofs {
		if p.Stamp != "moved" || p.Error != "" {
			say("the program goes on with %q: %s", p.Stamp, p.Error)
		}
	}
	if got, err := digestFile(path); err != nil || got != f.movedDigest {
		say("the file that was put there is another: %s, %v", describe(path), err)
	}
	if notes, err := f.notes(path, stateNew); err != nil || notes != o.wrote() {
		say("of %d writes that were acknowledged after the move there are %d: %v", o.wrote(), notes, err)
	}
	if err := f.pushAgain(path); err != nil {
		say("a push after it: %v", err)
	}
	return stateNew, wrong
}
