//go:build linux && (amd64 || arm64)

package sweep

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// state is which database a run left.
type state string

const (
	stateOld  state = "old"
	stateNew  state = "new"
	stateNone state = "neither"
)

// inspect looks at what a run left in dir, and lists what is wrong with it. It
// then does a push, as the program would after a restart.
func (f *fixture) inspect(dir string, ft fault, o *outcome) (s state, wrong []string) {
	path := filepath.Join(dir, databaseFile)
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if ft.move {
		return f.inspectMoved(path, o)
	}
	if f.adopts {
		return f.inspectAdopted(dir, ft, o)
	}
	s, err := f.stateOf(path)
	if err != nil {
		say("what is at the path: %v", err)
	}
	notes, err := f.notes(path, s)
	if err != nil {
		say("the notes: %v", err)
	}
	if want := o.wrote(); notes != want {
		say("of %d writes that were acknowledged after the operation there are %d", want, notes)
	}
	if _, err := os.Lstat(f.kept(path)); err == nil && f.leave == nil {
		if got, err := digestFile("file:" + f.kept(path) + "?mode=ro&immutable=1"); err != nil || got != f.old {
			say("the backup is not the old database: %v", err)
		}
	}
	if o != nil {
		wrong = append(wrong, f.contradictions(ft, *o, s)...)
		if f.pull && o.Error == "" {
			if got, err := digestFile("file:" + filepath.Join(dir, pulledFile) + "?mode=ro&immutable=1"); err != nil || got != f.old {
				say("the pull succeeded, and its copy is not the database: %v", err)
			}
		}
	}
	if err := f.pushAgain(path); err != nil {
		say("a push after it: %v", err)
	}
	// Whatever was interrupted, by then it is finished.
	got, err := digestFile("file:" + f.kept(path) + "?mode=ro&immutable=1")
	switch want := f.backup && s == stateNew || f.removed && f.copied(ft); {
	case want && (err != nil || got != f.old):
		say("the replaced database is not kept: %v", err)
	case !want && err == nil:
		say("a backup is left of a push that was not made")
	}
	if f.aside {
		kept, err := filepath.Glob(path + ".set-aside-*")
		if err != nil || len(kept) != 1 {
			say("the file that was put there is not kept: %v", kept)
		} else if data, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(data, f.moved) {
			say("the file that was put there is not what it was: %v", err)
		}
	}
	return s, wrong
}

// copied reports whether what a removed file holds had a name of its own before the kill: it
// is kept from then on, whatever becomes of the push.
func (f *fixture) copied(ft fault) bool {
	named := slices.IndexFunc(f.record, func(c call) bool { return renames(c) && strings.HasSuffix(c.paths[1], ".copy") })
	return named >= 0 && ft.point > named+1
}

// kept is where the replaced database at path is kept.
func (f *fixture) kept(path string) string {
	if f.number {
		return path + ".~1~"
	}
	return path + "~"
}

// inspectMoved is inspect of a run in which somebody put a file in the live one's
// place: it is theirs from then on, whatever became of the push.
func (f *fixture) inspectMoved(path string, o *outcome) (s state, wrong []string) {
	s = stateOld
	if o.Swapped {
		s = stateNew
	}
	if !o.Swapped && !strings.Contains(o.Error, "something else replaced the live file meanwhile") {
		wrong = append(wrong, fmt.Sprintf("it does not say why it was refused: %q", o.Error))
	}
	if got, err := digestFile(path); err != nil || got != f.movedDigest {
		wrong = append(wrong, fmt.Sprintf("the file that was put there is not live (swapped %t, %q): %s, %v", o.Swapped, o.Error, describe(path), err))
	}
	if _, err := os.Lstat(f.kept(path)); err == nil && f.backup {
		if got, err := digestFile("file:" + f.kept(path) + "?mode=ro&immutable=1"); err != nil || got != f.old {
			wrong = append(wrong, fmt.Sprintf("the backup is not the old database: %v", err))
		}
	}
	if err := f.pushAgain(path); err != nil {
		wrong = append(wrong, fmt.Sprintf("a push after it: %v", err))
	}
	return s, wrong
}

// contradictions compares what the victim was told with what is there.
func (f *fixture) contradictions(ft fault, o outcome, s state) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if o.OutcomeUnknown && (!ft.ever || !strings.Contains(o.Error, "is the old one or the new one")) {
		say("it need not be unknown, or is not said to be: %s", o.Error)
	}
	if o.Swapped != (s == stateNew) && !o.OutcomeUnknown {
		say("it says swapped %t, and the database is the %s one: %s", o.Swapped, s, o.Error)
	}
	if !o.Swapped && !f.pull && o.Error == "" {
		say("it failed without an error")
	}
	if o.Error == "" && f.mustTell(ft) {
		say("it succeeded and says nothing of it")
	}
	if strings.Contains(o.Error, "another process removes") {
		say("it blames another process, and there is none: %s", o.Error)
	}
	if o.Bare {
		say("the error does not say what was being done: %s", o.Error)
	}
	if o.DurabilityUnknown && !o.Swapped {
		say("of unknown durability although nothing was swapped: %s", o.Error)
	}
	if o.Error != "" && !f.pull && !o.OutcomeUnknown {
		if strings.Contains(o.Error, "the live database is unchanged") == o.Swapped || strings.Contains(o.Error, "the new database IS live") != o.Swapped {
			say("swapped %t, and the message is: %s", o.Swapped, o.Error)
		}
	}
	for _, p := range o.Proofs {
		switch want := f.stamps[s]; {
		case p.Stamp != want:
			say("the program goes on with %q, want %q: %s", p.Stamp, want, p.Error)
		case p.Error == readOnlyText && f.readOnly(ft):
		case p.Error != "":
			say("the program goes on with the %s database, but: %s", s, p.Error)
		}
	}
	return wrong
}

const readOnlyText = "attempt to write a readonly database"

// mustTell reports whether a fault is at a call whose failure no push or pull
// may keep to itself: one on which the swap or its durability hangs, or which
// looks for what must not be there. Of SQLite's own syncs, those of a checkpoint
// that is done again later need not be told.
func (f *fixture) mustTell(ft fault) bool {
	if ft.point == 0 {
		return false
	}
	c := f.record[ft.point-1]
	switch {
	case renames(c):
		return true
	case c.name == "newfstatat":
		// SQLite looks for them, too, when it opens the stage, and before the last look of ours.
		ours := strings.HasSuffix(c.paths[0], ".stage-journal") || strings.HasSuffix(c.paths[0], ".stage-wal")
		return ours && !f.doneAgain(ft.point)
	case c.name != "fsync" && c.name != "fdatasync":
		return false
	case ft.ever:
		return true
	case strings.HasPrefix(f.name, "in-place") && f.doneAgain(ft.point):
		return false
	}
	live := "fsync " + databaseFile
	return c.String() != live && c.String() != live+"-wal" &&
		(ft.point < 3 || f.record[ft.point-3].String() != live+"-wal") // fsync -wal, openat directory, fsync directory
}

// doneAgain reports whether the call at a point is made once more after it. Of a
// sync that matters, for SQLite keeps to itself that a directory could not be
// synced.
func (f *fixture) doneAgain(point int) bool {
	for _, c := range f.record[point:] {
		if c.String() == f.record[point-1].String() {
			return true
		}
	}
	return false
}

// readOnly: when SQLite can't open a file for writing it opens it for reading
// alone, and doesn't tell. A pool's connection that met that stays so.
func (f *fixture) readOnly(ft fault) bool {
	if ft.point == 0 {
		return false
	}
	c := f.record[ft.point-1].String()
	return c == "openat "+databaseFile || c == "openat "+databaseFile+"-wal"
}

// stateOf tells which database is at path, as whoever opens it next will see it.
func (f *fixture) stateOf(path string) (state, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) && (f.missing || f.removed) {
		return stateOld, nil
	} else if err != nil {
		return stateNone, err
	}
	got, err := digestFile(path)
	switch {
	case err != nil:
		return stateNone, err
	case got == f.new:
		return stateNew, nil
	case got == f.old && !f.missing:
		return stateOld, nil
	}
	return stateNone, fmt.Errorf("neither the old nor the new database: %s", describe(path))
}

func (f *fixture) notes(path string, s state) (n int, err error) {
	if s == stateNone || s == stateOld && (f.missing || f.removed) {
		return 0, nil
	}
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	if there, err := has(db, "notes"); !there {
		return 0, err
	}
	return n, db.QueryRow("SELECT count(*) FROM notes").Scan(&n)
}
