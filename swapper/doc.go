// Package swapper replaces the live SQLite database of a running program, and takes
// snapshots of it.
//
// [Push] receives a database, checks it, drains the program's connections through
// package driver, and renames the new file into place; where it can't have the file to
// itself it writes the new content over the live one instead (see [Method]). [Pull]
// writes a consistent snapshot. A program may call both itself; package sockserver
// calls them for the hotswap command. Both may be called from any goroutine.
//
// # Life cycle of a push
//
//	inspect -> receive -> check -> rehearse -> seal -> freeze -> replace -> thaw
//	                                       |
//	                                       +-> lock -> copy -> commit -> thaw -> checkpoint
//
// The first line is a rename, the second goes in place; a rename that finds the file
// open elsewhere turns to the second, with the gate open again.
//
// Any failure before the file takes its place leaves the live database as it was, and
// removes what was received. What could fail later is tried first, with the gate open:
// that SQLite opens the new file, with that owner and mode, and that the program's own
// connections can, with their connect hook and extensions, and with the PRAGMA and
// ATTACH statements replayed that the program has executed as SQL text. Once the file
// has taken its place the new database is live; if it can't be read, the old one is
// put back before any call sees it.
//
// [Stage] goes as far as rehearse, and keeps the file; [Staged.Swap] does the rest, later.
//
// One push of a database runs at a time, and another gets [ErrBusy] at once. Pulls may
// run beside one another, and a push waits for those that are copying.
//
// # Guarantees
//
// A call never sees parts of both databases, and an acknowledged write is in the
// database that was live then. A process that dies at any point leaves the whole old or
// the whole new database at the path; replace.go says what a crash leaves between each
// pair of steps. [RemoveOrphans] deals with what it may leave beside it: a backup that
// was asked for gets its name, and the rest is removed.
//
// # Caveats
//
// The driver knows the connections of its own process. Other processes are known from the
// kernel, by a lease on the file, on Linux and on local file systems; elsewhere an idle
// process that has the file open may go unnoticed.
package swapper

// The files, in the order of the story:
//
//	to read first  swapper: a push, as one function; pull, snapshot, send, held: a pull;
//	               operation: what is known while one runs
//	the surface    options, report, errors, events, supported
//	in two halves  staged: a push that waits for its moment
//	if-match       condition: whether the live database has changed; tag
//	inspect        inspect, target, mount, identity, live, pragma, exclusive, lost, header:
//	               the live database; served, removed: one that has lost its name, pulled and
//	               pushed over; claim, method, lease: who else has it; oldersqlite: with what
//	receive        stage, receive, receivepipe, receivepatch, stagewriter, digest, header,
//	               foreign, noroom
//	check          check, hooktrial, integrity, scan, partial, verdict, schema, difference, ask
//	rehearse       rehearse, seal, metadata
//	freeze         visit, freeze, patience, attachers, peers, locked, shrink, rest
//	replace        replace, guard, place, names, sidecars, unreadable, aside, backup, versions, disk
//	in place       inplace, fits, writelock, writeahead
//	afterwards     beside, orphans
//
// A file with a system's name behind it is that system's part of the same noun.
