package swapper

import (
	"context"
	"database/sql"
	"time"

	"github.com/rs/zerolog"
)

// PushOptions are the settings of [Push]; the zero value is a checked push.
type PushOptions struct {
	// Source names the source in logs and in the report, for example the
	// client's path or "stdin".
	Source string
	// Size is the number of bytes that the source will yield; a source that
	// ends before or after it is refused. 0 means unknown.
	Size int64
	// SkipIntegrityCheck leaves out PRAGMA integrity_check, and with it the look at
	// constraints. The header and the length are checked all the same.
	SkipIntegrityCheck bool
	// SkipConstraintCheck accepts rows that break a constraint of their own table, which
	// else are an ErrConstraint: NOT NULL, CHECK, UNIQUE, the type of a column.
	// Damage is refused all the same. Foreign keys are not looked at in any case:
	// for those there is Validate, and PRAGMA foreign_key_check.
	SkipConstraintCheck bool
	// Quick runs PRAGMA quick_check instead: it does not compare indexes with
	// their tables.
	Quick bool
	// SkipSchemaCheck accepts a database whose schema differs from the live one, or
	// if that can't be read. Of a live database that can't be, what its WAL or journal
	// has is lost, unless there is a Backup, beside which it is kept.
	SkipSchemaCheck bool
	// SkipRehearsal leaves out opening the new database as the program's own
	// connections will: with their connect hook and extensions, and told again what
	// they were told by SQL text (PRAGMA, ATTACH). What they can't be told again then
	// they go on without; a hook that fails fails their calls.
	SkipRehearsal bool
	// Method is how the live database is replaced; "" means MethodAuto.
	Method Method
	// Timeout bounds all that the push waits for, together: holds that drain, another
	// process's locks, swaps of databases that have this one attached. When nothing is
	// left of it, what is still to be done is attempted once, for MaxPause at most.
	// 0 means 30 s.
	Timeout time.Duration
	// MaxPause bounds the window of one attempt; 0 means 1 s.
	MaxPause time.Duration
	// Force interrupts what has not drained by the timeout, and rolls its
	// transactions back: their owners get an error that wraps driver.ErrForced.
	Force bool
	// Backup keeps the replaced file beside the target, as its path with a "~".
	Backup bool
	// Digest has the SHA-256 of the source in the Report even if the integrity
	// check is skipped or quick: to compute it takes longer than to copy a file.
	Digest bool
	// DryRun checks everything and replaces nothing.
	DryRun bool
	// Prepare, if set, may change the staged database before it is checked:
	// to run migrations, say.
	Prepare func(context.Context, *sql.DB) error
	// Validate, if set, sees the staged database read-only after the other
	// checks. An error refuses the push; so does what either of them leaves open,
	// Rows or a transaction.
	Validate func(context.Context, *sql.DB) error
	// Logger gets a line for every step. Use zerolog.Nop() for none: the zero
	// Logger of zerolog has no writer and logs nothing either. Nothing waits for
	// its writer, as with [hotswap/driver.WithLogger], but for the end of the
	// operation: a quarter of a second at most.
	Logger zerolog.Logger
	// Notify, if set, gets every step and the progress within long ones, one
	// at a time and in order, on a goroutine of its own so that a slow
	// consumer never lengthens the pause. Push returns after the last one.
	Notify func(Event)
}

// wantsDigest reports whether the Report is to have the SHA-256 of the source.
func (o *PushOptions) wantsDigest() bool {
	return o.Digest || !o.SkipIntegrityCheck && !o.Quick
}

func (o *PushOptions) timeout() time.Duration {
	if o.Timeout > 0 {
		return o.Timeout
	}
	return 30 * time.Second
}

// Method is how a push replaces the live database.
type Method string

const (
	// MethodRename drains and closes the program's connections and renames the
	// new file into place. The pause does not depend on the size. It needs the
	// file to itself: it is refused while another process has it open.
	MethodRename Method = "rename"
	// MethodInPlace writes the new content over the old one through SQLite, in
	// one transaction: other processes and long readers may have the file open,
	// and each sees the old or the new database. Writes wait while it copies,
	// for seconds per gigabyte, and in a rollback-journal mode everything does;
	// and it takes the size of the database once more on the disk. The page size
	// (in WAL mode) and the text encoding must be the live database's. Connections
	// of the program with cache=shared are drained and closed, as by a rename; in
	// WAL mode it is refused while one has immutable=1 or nolock=1.
	MethodInPlace Method = "in-place"
	// MethodAuto renames if it can have the file to itself, else goes in place.
	MethodAuto Method = "auto"
)

func (o *PushOptions) method() Method {
	if o.Method == "" {
		return MethodAuto
	}
	return o.Method
}

func (o *PushOptions) maxPause() time.Duration {
	if o.MaxPause > 0 {
		return o.MaxPause
	}
	return time.Second
}

// PullOptions are the settings of [Pull].
type PullOptions struct {
	// Dest names the destination in logs and in the report.
	Dest string
	// Begin, if set, is called once the snapshot is complete, before its first
	// byte is written, with its size in bytes.
	Begin func(size int64)
	// Check runs PRAGMA integrity_check on the copy before its first byte is written:
	// a damaged live database makes a damaged copy, which else nobody notices. Quick
	// and SkipConstraintCheck are as in PushOptions, and mean nothing without it.
	Check, Quick, SkipConstraintCheck bool
	// Logger and Notify are as in PushOptions.
	Logger zerolog.Logger
	Notify func(Event)
}
