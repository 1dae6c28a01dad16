package swapper

import (
	"context"
	"database/sql"
	"time"

	"github.com/rs/zerolog"
)

// PushOptions are the settings of [Push]. The zero value is a push with all checks.
type PushOptions struct {
	// Source names the source in logs, errors and the Report: the client's path, say,
	// or "stdin".
	Source string
	// Size is the number of bytes that the source will yield. A source that ends
	// before or after it is refused with ErrBadDatabase. 0 means unknown.
	Size int64

	// SkipIntegrityCheck leaves out PRAGMA integrity_check, and with it the check of
	// constraints. The header and the length are checked in any case.
	SkipIntegrityCheck bool
	// SkipConstraintCheck accepts rows that break a constraint of their own table
	// (NOT NULL, CHECK, UNIQUE, the type of a column), which are an ErrConstraint
	// otherwise. Damage is refused in any case. Foreign keys are never checked: use
	// Validate and PRAGMA foreign_key_check.
	SkipConstraintCheck bool
	// Quick runs PRAGMA quick_check instead, which does not compare indexes with
	// their tables.
	Quick bool
	// SkipSchemaCheck accepts a database whose schema differs from the live one's
	// (ErrSchema otherwise), and replaces a live database that can't be read
	// (ErrTarget otherwise). What the WAL or the journal of one that can't be read
	// holds is lost, unless Backup is set: then it is kept beside the backup.
	SkipSchemaCheck bool
	// SkipRehearsal leaves out opening the new database as the program's own
	// connections will: with their connect hook and extensions, and with the PRAGMA
	// and ATTACH statements replayed that were executed as SQL text. After the push
	// the connections do without what can't be replayed; a hook that fails makes their
	// calls fail.
	SkipRehearsal bool

	// IfMatch, if set, is a tag that a Pull has reported (PullOptions.Tag): the push is made only
	// if the live database has the content that was pulled. If anything was written or
	// swapped since, it is refused with ErrChanged: before src is read, if that was so by
	// then, and at the latest in the swap. The same content again is no change. The live
	// database is read for that, with calls flowing. Linux only.
	IfMatch string

	// Method is how the live database is replaced; "" means MethodAuto.
	Method Method
	// Timeout bounds everything that the push waits for, taken together and by whichever
	// method: holds that drain, locks of other processes, swaps of databases that have
	// this one attached. With MethodAuto in WAL mode a rename gives up when a quarter of
	// it is left, or MaxPause if that is less, in which the push goes in place. When
	// nothing is left, what is to be done is attempted once, for 50 ms at most.
	//
	// It does not bound receiving, checking and copying, which end with ctx alone. For the
	// program's connect hook, which is tried on the new database with calls flowing, it is a
	// bound by itself: the push is refused if the hook has not returned by then, but after 2 s
	// at the earliest and 30 s at the latest. With Force, what is interrupted at the timeout
	// has two seconds to return; and so has a peer that hangs to answer. 0 means 30 s.
	Timeout time.Duration
	// MaxPause bounds how long calls wait in one attempt to drain what is held; 0
	// means 1 s. In a rename on a slow disk writes begin to wait before reads do (see
	// Report.WritesPause), and it bounds their whole wait, unless a single sync of the
	// disk takes longer. Writes wait for longer while a push in place copies.
	MaxPause time.Duration
	// Force interrupts what has not drained by the timeout, and rolls its
	// transactions back: their owners get an error that wraps driver.ErrForced. With
	// DryRun nothing is interrupted.
	Force bool
	// Backup keeps the replaced database beside the new one, at the same path with a
	// "~" appended. An older backup is replaced. If its file was removed, but the program
	// has it open, it is copied first, while calls wait, and Force does not apply. If the
	// push then fails that copy is put at the path again, and is no backup.
	Backup bool
	// BackupAs, if set, is how the backup is named, and asks for one; "" means
	// BackupSimple.
	BackupAs BackupNames
	// Keep is how many numbered backups there may be: once the new one has its name, the
	// oldest are removed, but none that somebody has open, or that is a database of the
	// program's. 0 keeps them all.
	Keep int
	// By says who pushes, for the list of backups (see Backups); it may be empty.
	By string
	// Digest puts the SHA-256 of the source into the Report even if the integrity
	// check is skipped or quick. It takes longer to compute than a file to copy.
	Digest bool
	// DryRun checks everything and replaces nothing.
	DryRun bool

	// Prepare, if set, may change the received database before it is checked: to
	// migrate it, say. An error refuses the push with ErrBadDatabase. The pool has one
	// connection, with the program's connect hook; Rows, a transaction or a connection
	// that is left open refuses the push as well.
	Prepare func(context.Context, *sql.DB) error
	// Validate, if set, may read the received database after the other checks. The
	// same holds as for Prepare, but a connect hook that fails on a read-only database
	// is left out.
	Validate func(context.Context, *sql.DB) error

	// BeforeSwap, if set, is called once, after all checks and with calls flowing, before
	// anything is done that may replace the live database: until it has been called, the
	// live database is certain to be as it was. A dry run does not call it.
	BeforeSwap func()

	// Logger gets a line for every step. The zero Logger, like zerolog.Nop(), logs
	// nothing. Nothing waits for its writer, as with [hotswap/driver.WithLogger],
	// except the end of the operation, for a quarter of a second at most.
	Logger zerolog.Logger
	// Notify, if set, gets every step and the progress within long ones, one at a
	// time and in order, on a goroutine of its own, so that a slow consumer never
	// lengthens the pause. Push returns after the last call.
	Notify func(Event)
}

// BackupNames is how backups are named, as by cp of GNU coreutils.
type BackupNames string

const (
	// BackupSimple appends "~" to the path. An older backup is replaced.
	BackupSimple BackupNames = "simple"
	// BackupNumbered appends ".~N~", where N is one more than the highest that there is.
	BackupNumbered BackupNames = "numbered"
	// BackupExisting is BackupNumbered if there are numbered backups already, else
	// BackupSimple.
	BackupExisting BackupNames = "existing"
)

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

// Method is how a push replaces the live database.
type Method string

const (
	// MethodRename drains and closes the program's connections and renames the new
	// file into place. The pause does not depend on the size of either database. The
	// push needs the file to itself, except for peers ([driver.WithPeers]), which drain
	// and close their connections, too: while any other process has it open, the push is
	// refused with ErrBusy.
	MethodRename Method = "rename"
	// MethodInPlace writes the new content over the old one through SQLite, in one
	// transaction. Other processes and long readers may have the file open, and each
	// sees the old or the new database. While it copies, for seconds per gigabyte,
	// writes wait, and with a rollback journal everything does; those of peers, too
	// ([driver.WithPeers]). It needs room
	// on the disk for the size of the database once more. The text encoding, and in
	// WAL mode the page size, must be the live database's. Connections of the program with cache=shared
	// are drained and closed, as for a rename; in WAL mode the push is refused while
	// one has immutable=1 or nolock=1.
	MethodInPlace Method = "in-place"
	// MethodAuto renames if it can have the file to itself, and goes in place if not.
	MethodAuto Method = "auto"
)

// PullOptions are the settings of [Pull].
type PullOptions struct {
	// Dest names the destination in logs and in the Report.
	Dest string
	// Begin, if set, is called once the snapshot is complete, before its first byte
	// is written, with its size in bytes.
	Begin func(size int64)
	// Check runs PRAGMA integrity_check on the snapshot before its first byte is
	// written, since a copy of a damaged database is damaged, too: that is an
	// ErrBadDatabase. Quick and SkipConstraintCheck are as in PushOptions, and mean
	// nothing without Check.
	Check, Quick, SkipConstraintCheck bool
	// Tag has the Report name the content that was copied, for PushOptions.IfMatch. It is
	// computed beside the copying, and may take longer.
	Tag bool
	// Logger and Notify are as in PushOptions.
	Logger zerolog.Logger
	Notify func(Event)
}
