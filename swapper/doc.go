// Package swapper replaces a live SQLite database, and takes snapshots of it.
//
// [Push] receives a database, checks it, drains the program's connections
// through package driver, and renames the new file into place, or writes its
// content over the live one where it can't have the file to itself (see
// [Method]). [Pull] writes a consistent snapshot. Both may be called by the program itself; package
// sockserver calls them for the hotswap command.
//
// # Life cycle of a push
//
//	stage -> check -> rehearse -> adopt -> freeze -> replace -> probe -> thaw
//	                          |
//	                          +-> lock -> copy -> commit -> thaw -> checkpoint
//
// The first line is a rename, the second goes in place; a rename that finds
// somebody else with the file open turns to the second, with the gate open again.
//
// Up to the rename inside of replace, any failure leaves the live database as
// it was, and removes the stage; that SQLite opens the new file, with that owner
// and mode, is tried before, and that the program's own connections can: with their
// connect hook and extensions, and told again what they were told by SQL text. From the rename on the new database is live; a
// probe that can't read it puts the old one back before any call sees it. Only
// one push of a database runs at a time, others get [ErrBusy] at once; pulls
// may run beside one another, and a push waits for those that are copying.
//
// # Guarantees
//
// A call never sees parts of both databases, and a write that was acknowledged
// is in the file that was live then. A process that dies at any point leaves
// the whole old or the whole new database at the path; see replace.go for what
// a crash leaves between each pair of steps. With what it may leave beside it
// [RemoveOrphans] deals: a backup that was asked for gets its name, and the rest goes.
//
// # Caveats
//
// The driver knows the connections of its own process. Of others the kernel
// tells, by a lease on the file, on Linux and on local file systems; elsewhere a
// process that has the file open and is idle may not be seen.
package swapper
