// Package snapshot copies a live SQLite database file beneath SQLite, as fast as
// the file system copies a file, while others write the database.
//
// The caller has a read transaction open on a connection of go-sqlite3, and keeps
// it open from before [Of] until [Snapshot.CopyTo] has returned. What is copied is
// the main file, by the descriptor that this very connection has, and over it what
// the write-ahead log holds beyond it. The copy is the database as it was at one
// moment: of the transaction's first read, or of a commit after it.
//
// # Why it is one moment
//
// With a rollback journal, the transaction has the SHARED lock. Nobody writes the
// file without the EXCLUSIVE one, not even to spill a cache. The main file is the
// snapshot.
//
// In WAL mode there are three cases, told apart by a look at the wal-index
// (https://www.sqlite.org/walformat.html) once the transaction has begun. It finds
// mxFrame, the number of frames that are committed, and nBackfill, the number of
// those that a checkpoint has moved into the file.
//
//   - nBackfill equals mxFrame: the file has everything. And it stays as it is. A
//     transaction that began while all was in the file has the lock WAL_READ_LOCK(0),
//     without which no checkpoint writes a page. One that began before has the lock
//     of a read mark, beyond which no checkpoint goes; and since what the mark was
//     set for is in the file, the mark is mxFrame. The main file is the snapshot.
//
//   - mxFrame is 0: the log was just started over, or there is none. Likewise.
//
//   - nBackfill is less: the frames from the first one to mxFrame, laid over the main
//     file, are the database as of the commit that wrote the last of them. While they
//     are read, the log is not started over: that takes all of it to be in the file,
//     and WAL_READ_LOCK(0) keeps what is not from getting there; or the lock of every
//     read mark, of which ours is one. A checkpoint may write pages into the file
//     while it is copied, so that a page is copied in halves. But those are pages of
//     frames up to our mark, and are laid over.
//
// Frames beyond mxFrame are never looked at, however whole they look: they are of a
// transaction that is being written or was rolled back, or of a commit that failed as
// its fsync did. And what is read from the log is checked as SQLite's own recovery
// checks it, by salts and checksums from the log's header on; the last checksum must
// be the one that the wal-index has. So what was said above need not be believed.
// Where it does not hold, there is an error, and the copy is no snapshot.
//
// # Where it can't
//
// [ErrUnable] says that the caller must take SQLite's backup interface: which always
// works, if slower, within the same transaction. It is returned for a file that has
// been moved away from its path, a VFS that is not SQLite's own for Unix, a wal-index
// that can't be read, for an empty database, and for whatever was not as expected;
// and on systems other than Linux.
package snapshot
