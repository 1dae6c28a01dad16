package swapper

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/printable"
)

// The kinds of failures of Push and Pull; test for them with errors.Is. An error may be
// of several kinds, or of none: a context that has ended, or a disk that fails. Its text
// names the operation, the file and what to do.
var (
	// ErrBadDatabase: what was pushed is not a database to swap in: it is empty,
	// truncated, corrupt, of another schema, or refused by Prepare or Validate, or the
	// program can't open it. Of a Pull with Check: the live database is damaged.
	ErrBadDatabase = errors.New("bad database")
	// ErrSchema: the schema differs from the live one; errors.As finds a *SchemaError
	// that says how. Such an error is an ErrBadDatabase too.
	ErrSchema = errors.New("schema differs")
	// ErrConstraint: the database is not damaged, but has rows that break its own
	// constraints. Such an error is an ErrBadDatabase too.
	ErrConstraint = errors.New("constraint violated")
	// ErrChanged: the live database has not the content that PushOptions.IfMatch names.
	ErrChanged = errors.New("database has changed")
	// ErrBusy: try again later. Another push is in progress, another process has the
	// database open or locked, the file at the path is being replaced by something else, or
	// the program held something longer than the timeout (then errors.As finds a
	// *driver.HeldError).
	ErrBusy = errors.New("database is busy")
	// ErrNotPermitted: the process lacks a right to the database's file or to its
	// directory.
	ErrNotPermitted = errors.New("not permitted")
	// ErrNoSpace: the disk is too full to stage the new database, or a snapshot.
	ErrNoSpace = errors.New("not enough space")
	// ErrTarget: the live database can't be replaced, or read, as it is. It has several
	// hard links, is a mount point or not a regular file, is damaged, has lost its WAL,
	// is kept locked by the program itself, or something is in the way beside it; or
	// something that is not a complete database was put at its path, or it was removed and the
	// backup that was asked for can't be made.
	ErrTarget = errors.New("target can't be replaced")
	// ErrNotExist: the database to pull has no file yet, or its file was removed and the
	// program has it open no longer.
	ErrNotExist = errors.New("database does not exist yet")
	// ErrDurabilityUnknown: the swap is done, the new database is live, and
	// the disk did not confirm it: a power loss may bring the old one back.
	ErrDurabilityUnknown = errors.New("swapped, durability unknown")
	// ErrOutcomeUnknown: the live database is the old one or the new one, whole,
	// and it is not known which. The write that commits in place failed, and so
	// did reading the database; or a client of package sockserver lost the
	// connection after it had sent everything.
	ErrOutcomeUnknown = errors.New("outcome unknown")
)

// Error is the error of every Push and Pull that fails. Err wraps the kinds.
type Error struct {
	Op   string // "push to" or "pull from"
	Path string // the database
	Err  error
	Hint string // how the live database is now, and what to do
}

func (e *Error) Error() string {
	s := e.Op + " " + e.Path + ": " + e.Err.Error()
	if e.Hint != "" {
		s += "; " + e.Hint
	}
	return printable.Path(s, e.Path)
}

func (e *Error) Unwrap() error { return e.Err }

// failure is an error with a kind, a text of its own, a cause and a hint.
type failure struct {
	kinds []error
	text  string
	cause error
	hint  string
	// inPlace says that a push in place gets around this.
	inPlace bool
}

func (f *failure) Error() string {
	switch {
	case f.cause == nil:
		return f.text
	case f.text == "":
		return f.cause.Error()
	}
	return f.text + ": " + f.cause.Error()
}

func (f *failure) Unwrap() []error {
	all := f.kinds
	if f.cause != nil {
		all = append(all[:len(all):len(all)], f.cause)
	}
	return all
}

func bad(hint, format string, args ...any) error {
	return &failure{kinds: []error{ErrBadDatabase}, text: fmt.Sprintf(format, args...), hint: hint}
}

// failed describes the failure of a step by what was being done. Its kind is the cause's,
// if that has one.
func failed(doing string, cause error) error {
	f := &failure{text: doing, cause: cause}
	var se sqlite3.Error
	errors.As(cause, &se)
	switch {
	case errors.Is(cause, syscall.EDQUOT), se.SystemErrno == syscall.EDQUOT:
		f.kinds = []error{ErrNoSpace}
		f.hint = "make room within the disk quota and try again"
	case errors.Is(cause, syscall.ENOSPC), se.SystemErrno == syscall.ENOSPC, se.Code == sqlite3.ErrFull:
		f.kinds = []error{ErrNoSpace}
		f.hint = "make room on the disk and try again"
	case errors.Is(cause, driver.ErrReplaced):
		f.kinds = []error{ErrBusy}
		f.hint = strangeHint
	case errors.Is(cause, fs.ErrPermission), errors.Is(cause, syscall.EROFS):
		f.kinds = []error{ErrNotPermitted}
	}
	return f
}

// strangeHint says how to go on with a file that the program does not use: there can be
// no push before it is gone or replaced, and the old one lasts as long as the program. A
// program that refuses the files of others (driver.RefuseReplaced) wants the old one.
const strangeHint = "move a whole database there with mv, and the program goes on with that; or move this file away, and push; " +
	"a pull copies the old file, which the program goes on with until then; or, if the program refuses what others put there, move the old one back or restart it"

func durabilityUnknown(cause error) error {
	return &failure{text: "swapped, but the disk did not confirm it: a power loss may bring the old database back",
		cause: cause, kinds: []error{ErrDurabilityUnknown}, hint: "check the disk, then push again"}
}

// hintOf returns the hint of the first failure in err's tree that has one.
func hintOf(err error) string {
	if f, ok := err.(*failure); ok && f.hint != "" {
		return f.hint
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return hintOf(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if hint := hintOf(inner); hint != "" {
				return hint
			}
		}
	}
	return ""
}

// isHeld reports whether err says that something held the database for too long.
func isHeld(err error) bool {
	var held *driver.HeldError
	return errors.As(err, &held)
}

// waitsItself reports whether a holder has no transaction yet, but is at its BEGIN:
// it waits for the same lock as the push.
func waitsItself(h driver.Holder) bool {
	return h.Kind == driver.HoldCall && len(h.Query) >= 5 && strings.EqualFold(h.Query[:5], "BEGIN")
}
