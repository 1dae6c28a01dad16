// Package driver is a database/sql driver for SQLite whose database files can
// be replaced while the program runs. Importing it registers [Name]:
//
//	import _ "hotswap/driver"
//
//	db, err := sql.Open("sqlite3-hotswap", "file:app.db?_journal=WAL&_txlock=immediate")
//
// It wraps github.com/mattn/go-sqlite3 and takes the same data source names,
// returns the same values and the same errors. Programs that need a connect
// hook, extensions, a log or an sqlmw interceptor make a driver of their own:
//
//	sql.Register("my-sqlite3", driver.New(driver.WithConnectHook(hook)))
//
// # What a swap does to a connection
//
// Every database file is one [Database], known by its real path, however many
// sql.DB, symlinks and relative names lead to it. While somebody has it frozen
// ([Database.Freeze]) a call that begins on an idle connection waits in the
// driver; it neither fails nor gets driver.ErrBadConn. A call on a connection
// that already holds something (open Rows, a Tx, a BEGIN executed as SQL text)
// goes through, or what it holds could never end. Once nothing is held, every
// SQLite connection is closed; after the thaw each reopens on its next use and
// prepares its statements again, so a *sql.Stmt, a pinned *sql.Conn and a
// goroutine that knows nothing of all this carry on.
//
// # The states of a connection
//
//	         enter             exit, nothing held
//	idle ------------> busy ------------------------> idle
//	held ------------> busy ------------------------> held
//	         enter             exit, something held
//
// Each of them may carry the want mark: a freeze is waiting for it. Then idle
// means drained: it stays so until the mark is taken off. An idle, marked
// connection becomes frozen when its SQLite connection is closed, and idle when
// the gate opens. gate.go has the whole of it.
//
// # What is kept and what is lost across a swap
//
// PRAGMA settings of the session and ATTACH, executed as SQL text, are replayed
// in their order when a connection reopens; an attached file by its absolute path,
// and it is not made if it is gone: calls fail then, and say so, until it is back.
//
// What is in no file is lost: TEMP tables, views and triggers, and databases in
// memory (':memory:' and an empty name), which are attached anew, empty. A swap that loses some
// says so in the log. So is what was registered or attached through [Raw], and the
// settings of a schema that was attached so can't be replayed, which is logged when
// they are made: do that in a connect hook, which runs on every reopen.
//
// The SQL functions changes, total_changes and last_insert_rowid begin anew. An
// Exec's Result tells what its statement did as ever; of a statement that inserts
// nothing, LastInsertId is that of an INSERT before it, and of one that is no INSERT,
// UPDATE or DELETE, RowsAffected is that of one before it: after a swap those are 0
// until there is one.
//
// # Where it differs from go-sqlite3
//
// In speed only: unprepared calls keep their statements (_stmt_cache_size, 64 by
// default), BEGIN, COMMIT and ROLLBACK are prepared, a call whose context can end
// runs on its caller's goroutine, and transactions that begin with the write lock
// (_txlock=immediate) take turns in the program before they meet SQLite's lock,
// whose waiters sleep. With cache=shared what is kept so may run while another
// connection changes the schema, which keeps others from being compiled. A context
// that has ended before its Exec keeps the Exec from running, which go-sqlite3
// leaves to chance.
//
// # Files that others put at the path
//
// The driver looks twice a second whether the file at a database's path, or where a
// symlink on that path leads, is still the one that its connections have open. If
// not, they move to the new one together, as in a swap (see [WithExternalReplace]).
// In the meantime nothing in the process gets it open beside the old one, not the
// plain go-sqlite3 either: that would be SQLITE_CANTOPEN there, and here the call
// waits.
//
// # Concurrency
//
// All exported functions and methods may be called from several goroutines at
// once. In-memory, shared-memory and custom-VFS databases pass through with
// nothing managed, and on Windows every database does.
package driver

// The locks, in their order: whoever holds one takes only those below it. Under none
// but the first is the gate waited for, a callback run or a line written to a log
// (lognote.Send, which queues lines, may be called).
//
//	Database.freezing  held from a Freeze to its Thaw, or while a replaced file is
//	                   refused; only ever tried, so that nobody waits for it
//	connector.mu       the pool's data source name and database
//	registry           which database has which path; of every Database refs, name,
//	                   names and unguard
//	Database.mu        the gate: conns, shut, reopened; sightings, callbacks, counters
//	conn.mu            every move of the state word that is not a call's own (word.go),
//	                   closed, reopening, closing, and the list of statements. A step of
//	                   Rows may run meanwhile, with SQLite's mutex of the connection: so
//	                   SQLite is asked only of a connection that is idle, or claimed
//	rows.mu            a step of Rows of a text of several statements, against their
//	                   closing by force
//	canceller.mu       whether the call that is to be interrupted runs
//	interrupter.mu     the SQLite connection, for other goroutines than its call's, who
//	                   share it
//	conn.step          a step of Rows without SQLite's mutex (_mutex=no)
//	watch.mu           which file the database has, and which one is to be adopted
//	overwritings.mu, abandoned, and the locks of internal/door: leaves
//
// What has no lock is the connection's: it is touched by whoever moved its word to
// busy, and by nobody else.
