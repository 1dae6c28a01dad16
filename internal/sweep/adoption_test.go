//go:build linux && (amd64 || arm64)

package sweep

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	stdlog "log"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/lognote"
	"hotswap/swapper"
)

// adoption is what a program does of which somebody has just moved another file over
// the live one. That one has the other's name then, so that it can be looked at.
func adoption(v *victim) (r swapper.Report, err error) {
	stdlog.SetOutput(&v.log)
	moved := filepath.Join(filepath.Dir(filepath.Dir(v.path)), movedFile)
	if err := unix.Renameat2(unix.AT_FDCWD, moved, unix.AT_FDCWD, v.path, unix.RENAME_EXCHANGE); err != nil {
		return r, err
	}
	r.Swapped = true
	err = inside.Of(v.db).CheckFile(context.Background())
	if errors.Is(err, driver.ErrReplaced) {
		v.keep(err)
		err = nil
	}
	return r, err
}

// kept is what a program met that went on with the old file, since a look at the new
// one or the move to it had failed.
type kept struct {
	Why    string // what it was told
	Stamp  string // of what it read then
	Error  string // what kept it from that
	Warned bool   // the log says so, unless the next look has moved it
}

// keep goes on with the old file until the driver has moved to the new one, as it does
// at its next look if the error was a passing one, or has looked in vain and warned.
func (v *victim) keep(told error) {
	v.kept = &kept{Why: told.Error()}
	if err := v.pool.QueryRow("SELECT group_concat(DISTINCT stamp) FROM items").Scan(&v.kept.Stamp); err != nil {
		v.kept.Error = err.Error()
	}
	v.await(func() bool {
		v.kept.Warned = strings.Contains(v.log.String(), "the old one stays open and in use")
		return v.kept.Warned || v.db.Generation() > 1
	})
}

// settle waits, once nothing fails any more, until the program has moved. Nobody asks
// the driver to: it looks of its own accord, or when a connection has to be opened.
func (v *victim) settle() {
	v.await(func() bool {
		var n int
		v.pool.QueryRow("SELECT 1").Scan(&n) // else nothing may be open, and nobody looks
		return v.db.Generation() > 1
	})
	v.moved = v.db.Generation() > 1
	lognote.Flush(patient)
}

// patient bounds the wait for what the driver, which looks twice a second, does next.
const patient = 20 * time.Second

func (v *victim) await(what func() bool) {
	for end := time.Now().Add(patient); !what() && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
}

// logged is the program's log.
type logged struct {
	mu   sync.Mutex
	text []byte
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// warned reports whether the program's log says so; one that was killed has none.
func (o *outcome) warned(of string) bool { return o == nil || strings.Contains(o.Log, of) }

// long ago: nobody writes to the file any more.
func (f *fixture) ageMoved(dir string) error {
	ago := time.Now().Add(-time.Hour)
	return os.Chtimes(filepath.Join(dir, movedFile), ago, ago)
}

// inspectAdopted is inspect of a file that was moved there: it is as it was, and what
// was acknowledged before is in the old one, with the WAL that may still be beside the
// new one, if the program was killed before it could see to that.
func (f *fixture) inspectAdopted(dir string, ft fault, o *outcome) (s state, wrong []string) {
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
	// The old file with its WAL: one that was put aside since it could not be moved into
	// the file, or the one that a program that was killed has left.
	was, wal := filepath.Join(dir, "was"), path+"-wal"
	if o != nil {
		wal = filepath.Join(dir, "none")
	}
	if aside, _ := filepath.Glob(path + "-wal.of-replaced-*"); len(aside) > 0 {
		wal = aside[0]
		if !o.warned("was put aside") {
			say("the log does not tell of %s", filepath.Base(wal))
		}
	}
	for from, to := range map[string]string{old: was, wal: was + "-wal"} {
		data, err := os.ReadFile(from)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := errors.Join(err, os.WriteFile(to, data, 0o600)); err != nil {
			return stateNone, []string{err.Error()}
		}
	}
	if got, err := digestFile(was); err != nil || got != f.old {
		say("the old database has not what was acknowledged: %s, %v", describe(was), err)
	}
	if o == nil {
		return stateNew, wrong
	}
	if k := o.Kept; k != nil {
		switch {
		case strings.HasSuffix(k.Why, ": )"):
			say("the program is not told why it goes on with the old file: %s", k.Why)
		case k.Stamp != "" && k.Stamp != "old" && k.Stamp != "moved":
			say("meanwhile the program reads %q", k.Stamp)
		case k.Error != "" && !ft.ever:
			say("meanwhile the program reads nothing: %s", k.Error)
		case !k.Warned && !o.Moved:
			say("the log does not say that the old file is in use")
		}
	}
	if !o.Moved {
		say("nothing fails any more, and the program does not move to the new file")
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
