// Package driver is a database/sql driver for SQLite whose database files can be
// replaced while the program runs. Importing it registers [Name]:
//
//	import _ "hotswap/driver"
//
//	db, err := sql.Open("sqlite3-hotswap", "file:app.db?_journal=WAL&_txlock=immediate")
//
// It wraps github.com/mattn/go-sqlite3: it takes the same data source names, and
// returns the same values and the same errors. Programs that need a connect hook,
// extensions, a log or an sqlmw interceptor register a driver of their own:
//
//	sql.Register("my-sqlite3", driver.New(driver.WithConnectHook(hook)))
//
// # What a swap does to a connection
//
// Every database file is one [Database], identified by its real path, however many
// sql.DB, symlinks and relative names lead to it. While it is frozen
// ([Database.Freeze]), a call that begins on an idle connection waits in the driver; it
// neither fails nor gets driver.ErrBadConn. A call on a connection that already holds
// something (open Rows, a Tx, a BEGIN executed as SQL text) goes through: otherwise
// that could never end. Once nothing is held, every SQLite connection is closed; after
// the thaw each reopens on its next use and prepares its statements again, so a
// *sql.Stmt, a pinned *sql.Conn and a goroutine that knows nothing of all this carry
// on.
//
// # The states of a connection
//
//	         enter             exit, nothing held
//	idle ------------> busy ------------------------> idle
//	held ------------> busy ------------------------> held
//	         enter             exit, something held
//
// Any of them may carry the want mark: a freeze is waiting for the connection. Idle
// then means drained: it stays so until the mark is removed. An idle, marked connection
// becomes frozen when its SQLite connection is closed, and idle again when the gate
// opens. word.go lists all transitions.
//
// # What is kept and what is lost across a swap
//
// Session settings made by PRAGMA, and ATTACH, executed as SQL text, are replayed in
// order when a connection reopens. A file is attached by its absolute path, and not
// created if it is gone: calls then fail, and say so, until it is back. If somebody has
// it locked, the connection's next call waits, until it is unlocked or its context ends.
//
// What is in no file is lost: TEMP tables, views and triggers, and in-memory databases
// (':memory:' and an empty name), which are attached again, empty. A swap that loses
// any of these logs it. What was registered or attached through [Raw] is lost, too.
// The settings of a schema attached that way can't be replayed, and a warning is logged
// when they are made. Use a connect hook for all of this: it runs on every reopen.
//
// The SQL functions changes, total_changes and last_insert_rowid start afresh. The
// Result of an Exec describes its own statement, as always. But a statement that inserts
// nothing reports the LastInsertId of an earlier INSERT, and one that is not an INSERT,
// UPDATE or DELETE the RowsAffected of an earlier one: after a swap these are 0 until
// there is one.
//
// # Where it differs from go-sqlite3
//
// In speed: unprepared calls keep their statements (_stmt_cache_size, 64 on each
// connection by default, and of these the latest that take 1 MiB of memory; in larger
// caches, 16 KiB for each), BEGIN, COMMIT and ROLLBACK are prepared, a call whose context
// can end runs on its caller's goroutine, and writers queue in the program before they
// meet SQLite's lock, whose waiters sleep up to 100 ms at a time. In the queue are
// transactions that begin with the write lock (_txlock=immediate, or by text); those that
// don't, from a first statement that writes; and single INSERT, REPLACE, UPDATE and
// DELETE statements, and changes of the schema, outside of a transaction. Whoever comes
// while nobody writes goes first; but whoever has waited for 10 ms is next, after those
// that have waited for longer. Who has read in its transaction, or does not wait for
// locks (_busy_timeout=0, cache=shared, nolock), does not queue, nor a connection with
// temporary tables or attached files, unless it begins with the lock. Nor does what needs
// no lock, such as CREATE TABLE IF NOT EXISTS where there is the table; but it does with
// a connect hook, extensions or after Raw, since it would have to be compiled once more,
// which they may see.
//
// A connection keeps no statements while it has, or had, attached files, in which a name may
// be found until main has it, too. Nor does it by default with a connect hook, extensions
// or after Raw: there may be an authorizer, which is asked only when a statement is
// compiled. If yours is always of the same mind, or there is none, ask for them
// (_stmt_cache_size=64). SQLite finds out that the schema of a statement has changed once it
// has the lock that this needs, and then compiles it anew: if another process has dropped
// the table, SQLITE_BUSY may come first, and a rollback hook is called for the transaction
// that was begun in vain.
//
// For those that do not queue, and for other processes, whoever has waited in the queue
// leaves the lock free for a quarter of the time for which the one before had it, 25 ms
// at most, unless another writer comes. After 100 ms in the queue, or the busy timeout if
// that is less, SQLite's own wait begins: so SQLITE_BUSY comes that much later. A context
// that ends in the queue ends the call with its own error.
//
// In a program that is built with the tag sqlite_unlock_notify a database can't be opened
// with cache=shared.
//
// With cache=shared a kept statement may run while another connection changes the schema,
// which keeps others from being compiled. An Exec whose context has already ended does not
// run; in go-sqlite3 it may or may not.
//
// A scan is stepped some rows ahead of its reader, where nobody can tell: it reads the main
// database's tables, finds each row without a search, calls nothing but some of SQLite's
// own functions (see internal/cursor), and is neither in a transaction nor of a
// [database/sql.Conn]. (An interceptor that writes on the connection between two rows of a
// pool's query can tell.) From Go 1.27 on, database/sql holds a lock while the driver puts the
// columns of such a scan, and of one with large values, where the program wants them. A
// [database/sql.Scanner] that calls ColumnTypes, Next or NextResultSet of the very Rows
// that it is scanned from waits for that lock for ever.
//
// A relative name means the file in the directory in which the process was when its pool
// opened the first connection. An authorizer sees a few statements that the driver runs of
// itself, such as PRAGMA busy_timeout.
//
// # Files that something else puts at the path
//
// Twice a second the driver checks whether the file at a database's path, or where a
// symlink on that path leads, is still the one that its connections have open. If it is
// another one, they move to the new one together, as in a swap (see
// [WithExternalReplace]), with those of the other processes that take part in swaps (see
// [WithPeers]). Until then nothing in the process can open the new file beside the old
// one, not even plain go-sqlite3: that gets SQLITE_CANTOPEN, while a call of this driver
// waits.
//
// # Databases that nobody uses
//
// Where a program has more than 64 databases, the kernel is asked to tell of those that
// nobody uses when another file may be at the path, if it can (see package pathwatch);
// they are then checked once a minute, and with the next use of a pool. After a minute
// without use their connections give back the statements and the pages that they keep.
// What the C library has over then goes to the system, if it is glibc (malloc_trim(3)).
//
// # Concurrency
//
// All exported functions and methods are safe for concurrent use, except those of
// [Frozen]. In-memory, shared-memory and custom-VFS databases pass through with nothing
// managed, and on Windows every database does.
package driver

// The files, in floors, from the ground up. One names what stands before it, and nothing
// that comes after, but for what says (also X):
//
//	parts          word, control (also conn and stmtcache), codes, interrupt, cancel,
//	               stepcancel, overwriting, writers, panics, leftwal, silent, trim: small
//	               things that need nothing else here
//	told           replaced, driver, options, querylog, holder, errors, onswap, stats, turn:
//	               what a program sets, and what it is told
//	a connection   conn (also rows, stmt, stmtcache, fetch, ahead and database, whose types it
//	               has), rows (also stmt, standin, fetch, unscanned and ahead), standin, stmt
//	               (also ahead and claim), stmtcache (also database), pooled, ahead, fetch,
//	               unscanned, scan, claim
//	a database     filter, watch (also rest), database, sightings, swapped; shut: the gate of
//	               all its connections; descriptors
//	the registry   registry, names (also rest): which database has which path; rest (also
//	               tick): what is done for those that nobody uses
//	SQLite's own   leftbehind, opensqlite: its connections are closed so that no WAL is left
//	               behind, and opened
//	a file         moved, openers, whole: what is at the path, and who has it open; peers,
//	               host, complete, invite, adopttogether: also in other processes; anew, admit (also
//	               tick): which file may be opened
//	a call         waiting, leaked (also attach), unmanaged, close, abandon, disturbed,
//	               attach, lost, record, replay, conclude: what a call can meet, and what it
//	               leaves; gate (also reopen): how it begins and ends; writing;
//	               raw
//	a freeze       freezeoptions, frozen, drain, force, drainwrites, attempts, closeall,
//	               lend, freeze: from the parts to the whole
//	other files    adopt, tick: the connections move to a file that something else put there
//	the calls      retry, reopen, calls, values, steps, tx: what database/sql calls
//	a guest        guest_place (also guest), guest, answerer: in the freeze of another process
//	the doors      manage, unlocknotify and unlocknotify_not, connector: how a database comes to be managed, and a connection
//	               to be; rehearse, openfile, inside: for package swapper
//
// The locks, in order: whoever holds one takes only those below it. While any but the
// first is held, nobody waits for the gate, runs a callback or writes to a log
// (lognote.Send, which queues lines, may be called).
//
//	Database.freezing  held from a Freeze to its Thaw, or while a replaced file is
//	                   refused; only ever tried, so that nobody waits for it
//	connector.mu       the pool's data source name and database
//	registry           which database has which path; for every Database refs, name,
//	                   names and unguard
//	Database.mu        the gate: conns, shut, reopened; sightings, counters
//	unmanaged.mu       the connections to databases that are not managed
//	conn.mu            every move of the state word that is not a call's own (word.go),
//	                   closed, reopening, closing, and the list of statements. A step of
//	                   Rows may run meanwhile, with SQLite's mutex of the connection: so
//	                   SQLite is asked only about a connection that is idle, or claimed
//	rows.mu            a step of Rows of a text of several statements, against their
//	                   closing by force
//	canceller.mu       whether the call that is to be interrupted is running
//	interrupter.mu     the SQLite connection, shared by goroutines other than its call's
//	interrupter.step   a step of Rows without SQLite's mutex (_mutex=no)
//	peers.Endpoint     of the process; opened and closed under the registry's lock
//	watch.mu           which file the database has, and which one is to be adopted
//	overwritings.mu, writerQueue.mu, callbacks.mu, abandoned, silent, and the locks of
//	                   internal/door: leaves
//
// What has no lock belongs to the connection: only whoever moved its word to busy
// touches it.
