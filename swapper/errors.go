package swapper

import "errors"

// What kind of failure it was; test for it with errors.Is. Each error's text
// names the operation, the file and what to do.
var (
	// ErrBadDatabase: the pushed bytes are not a database to swap in: empty,
	// cut, corrupt, of another schema, or refused by Validate.
	ErrBadDatabase = errors.New("bad database")
	// ErrSchema: the schema differs from the live one. Such an error is an
	// ErrBadDatabase too.
	ErrSchema = errors.New("schema differs")
	// ErrBusy: try again later. Another push is in progress, or something held
	// the database longer than the timeout (then errors.As finds a
	// *driver.HeldError).
	ErrBusy = errors.New("database is busy")
	// ErrNotPermitted: the process lacks a right to the target or its directory.
	ErrNotPermitted = errors.New("not permitted")
	// ErrNoSpace: the disk is too full to stage the new database.
	ErrNoSpace = errors.New("not enough space")
	// ErrTarget: the target is of a sort that can't be replaced by rename: a
	// hard-linked file, a mount point, a directory, a device.
	ErrTarget = errors.New("target can't be replaced")
	// ErrNotExist: the database to pull has no file yet.
	ErrNotExist = errors.New("database does not exist yet")
	// ErrDurabilityUnknown: the swap is done, the new database is live, and
	// the disk did not confirm it: a power loss may bring the old one back.
	ErrDurabilityUnknown = errors.New("swapped, durability unknown")
)

// Error is the error of a Push or a Pull.
type Error struct {
	Op   string // what was being done, for example "check the integrity of"
	Path string // the file it was done to
	Err  error
	Hint string // what to do about it; may be empty
}

func (e *Error) Error() string {
	s := e.Op
	if e.Path != "" {
		s += " " + e.Path
	}
	s += ": " + e.Err.Error()
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }
