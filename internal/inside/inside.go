// Package inside is what package driver does for pushes and pulls: what package swapper
// needs of a managed database and a program does not. Package driver implements it, and
// its own surface stays what programs use.
package inside

import (
	"context"
	"database/sql"
	"errors"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/fileid"
)

// Of returns the inside of a database, which is a *driver.Database. Package driver sets
// it when it is initialised.
var Of func(database any) Database

// Database is a *driver.Database as package swapper sees it.
type Database interface {
	// LeadsTo reports whether path is the database's, and no symlink in the names
	// under which pools have it open was repointed.
	LeadsTo(path string) bool

	// Freezing reports whether a Freeze is waiting for the database, or holds it.
	Freezing() bool

	// HasPeers reports whether the database may have peers: whether neither
	// WithPeers(false) nor HOTSWAP_PEERS=off keeps it from them.
	HasPeers() bool

	// Keep keeps the database managed, even if its pools are closed, until release is
	// called. Further calls of release do nothing.
	Keep() (release func())

	// CheckFile checks whether something other than a swap has replaced the file, and
	// handles that as driver.WithExternalReplace says. The driver does so by itself,
	// twice a second and on a connection's first use after it was idle; CheckFile is
	// for callers that are about to open the path by other means. It returns an error
	// that is driver.ErrReplaced if the connections do not move to the file that is
	// there now, and ctx.Err() if ctx ends first. It must not be called with Rows or a
	// transaction of the database open.
	CheckFile(ctx context.Context) error

	// Reconnect opens the SQLite connections of the idle connections that a swap
	// closed, rather than leave that to their next call. It returns how many it opened,
	// and the first error; the next call of such a connection tries again. It does not
	// wait at the gate and skips connections in use.
	Reconnect() (n int, err error)

	// Missing returns the file that the database has open, or last had, if nothing is at
	// its path now, and whether it is open still; fileid.None for none.
	Missing() (file fileid.ID, open bool)

	// Whole reports whether the file at the path, which is not the one that is open, is
	// one that the connections could move to, or may become that in a moment.
	Whole() bool

	// Visit is for callers about to open the database's file briefly with a connection
	// of their own. Until ended is called, which is once that is closed, a call that
	// gets SQLITE_BUSY waits, and is then retried.
	Visit() (ended func())

	Connections
	Rehearsals
	Pools
}

// Connections tell how connections have a file open.
type Connections interface {
	// Exclusive says how a connection of the program came to keep the database locked
	// for itself from one transaction to the next
	// (https://www.sqlite.org/pragma.html#pragma_locking_mode); "" if none does. It
	// asks only connections that are idle; a call that begins meanwhile waits for
	// microseconds.
	Exclusive() (how string)

	// Borrow is for callers that are to read a file which is no longer at its path. It
	// calls use with a connection of the program's that has it open and is idle; until use
	// returns, calls on that connection wait. If all are in use it waits, and for a freeze,
	// too. The error is that of use; ErrNoneOpen; a *driver.HeldError if none was idle for
	// that long, or ErrUnread if none was used; or ctx.Err().
	Borrow(ctx context.Context, patience time.Duration, use Use) error

	// Strangers counts what else in the process has the file open: connections of other
	// databases that have it attached, or of other drivers.
	Strangers() int

	// Outsiders is Strangers without the connections of managed databases, which can be
	// frozen, too.
	Outsiders() int

	// Unlocked reports whether a connection of the process, as far as those can be
	// seen, has the file open without SQLite's locks (immutable=1 or nolock=1). To such
	// a connection a database written in place looks malformed. If closed is set the
	// database's own connections do not count: they stay closed until it is written.
	Unlocked(closed bool) bool

	// SharesCache reports whether a connection of the database may read the file at
	// path through a shared cache (cache=shared).
	SharesCache(path string) bool
}

// Use is what is done with a connection that is lent: it leaves everything on it as it
// was. If it returns false, another connection is tried.
type Use func(*sqlite3.SQLiteConn) (used bool, err error)

var (
	// ErrNoneOpen: no connection of the database has its file open.
	ErrNoneOpen = errors.New("no connection of the program has the file open any longer")
	// ErrUnread: some have, and none of them was used.
	ErrUnread = errors.New("the program has read nothing from the file since it was opened, and SQLite can't begin to without its name")
)

// Rehearsals show whether the program's connections will open on a new file.
type Rehearsals interface {
	// NeedsRehearsal reports whether connections of the database may fail to open on a
	// file that SQLite itself opens, because of a connect hook, extensions, or session
	// settings that are replayed.
	NeedsRehearsal() bool

	// Rehearse opens the file as each kind of connection of the database will once the
	// file is the database: with its data source name, extensions and connect hook, and
	// with its session settings replayed. With readOnly neither the file nor what is
	// attached to it can be written to; a hook that would write fails, so that only
	// success means something. An attached managed database is only asked for its
	// encoding, by a call like any other; no missing file is created.
	//
	// The error is a *RehearsalError. Rehearse returns when ctx ends, even if a hook
	// does not; the connection is closed once that does.
	Rehearse(ctx context.Context, file string, readOnly bool) error
}

// RehearsalError says which step of opening a connection failed on a file.
type RehearsalError struct {
	// What is the step: "opening the file", "the connect hook", a PRAGMA, an ATTACH or
	// "reading the file".
	What string
	// Err is the program's own error, or SQLite's.
	Err error
}

func (e *RehearsalError) Error() string { return e.What + ": " + e.Err.Error() }
func (e *RehearsalError) Unwrap() error { return e.Err }

// Pools are opened beside the program's. Whoever opens one closes it; params are
// parameters of a file: URI.
type Pools interface {
	// OpenFile returns a pool of one connection on another file, unmanaged, opened as
	// the program opens this database, with its driver's extensions and connect hook,
	// but with params instead of its data source name's. It is for looking at a file
	// before it becomes this database. If the program has no pool open, or hooks is
	// false, the connection is a plain one.
	OpenFile(path string, hooks bool, params ...string) *sql.DB

	// OpenPlain returns a pool on the database's own file. Its connections wait at the
	// gate and are closed by a freeze like the program's own, but are plain ones,
	// without hooks.
	OpenPlain(params ...string) *sql.DB

	// OpenOwn returns a pool of one connection on the database's own file that does
	// not wait at the gate and is not closed by a freeze. It is for whoever replaces
	// the file, and must be closed before that is done. What Conn.Raw passes has a
	// method SQLite that returns the SQLite connection.
	OpenOwn(params ...string) *sql.DB
}
