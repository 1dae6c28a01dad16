// Package fdpass passes open files over Unix sockets (SCM_RIGHTS), so that a
// client on the same machine need not send a file's bytes. It is all of hotswap
// that receives a descriptor from another process; it knows nothing of HTTP.
//
// The client sends its file with a [Sender]: the first bytes that it writes
// carry the descriptor. The server wraps each connection by [Receiver.Conn]; the
// first Read may bring a file, and [Conn.Take] hands it out, once. The caller
// asks [File.Readable] or [File.Writable] whether it can be used, and gives
// [File.Source] or [File.Dest] to package swapper.
//
// # What may arrive
//
// Any process that may connect can send any descriptor, of any file, at any
// time, as often as it likes. Therefore:
//
//   - One is received with the first bytes of a connection only. The kernel
//     drops what comes with any later bytes, since nobody asks for it.
//   - A File is one regular file or one end of a pipe, and not opened with O_PATH or
//     O_DIRECT. Two descriptors, a directory, a socket or a device are closed at once,
//     and the File only says why.
//   - It is used as far as its sender opened it: to read from one that is open
//     for writing only, or to write to one that is open for reading, is refused.
//     No path is opened on the sender's behalf.
//   - It is closed by [File.Close], or with its connection if nobody took it.
//   - At most 64 are kept at once by a Receiver. Beyond that the kernel drops
//     them, and the connection is as one that brought none.
//   - A file on a file system that hangs holds up one step of copying for the
//     caller's limit, and then the thread that it hangs in, but never the caller.
//   - A pipe whose other end sends nothing, or takes nothing, is waited for in turns,
//     and for the caller's limit in all. What goes into one holds pages of the file
//     that it is moved from: so it is one that nobody writes to afterwards.
//   - It can be the file of a database that the process itself has open. The
//     caller asks [File.Same] about each of those before it uses the File.
//
// # Tables of their own
//
// A received descriptor never enters the process's table of descriptors. SQLite's
// locks are POSIX locks, and closing any descriptor of a file drops all locks that
// the process has on it (https://www.sqlite.org/howtocorrupt.html, section 2.2):
// a client that passes the file of an open database would take its locks away, as
// sooner or later what was received has to be closed. But what the kernel means by
// the process there is the table. So each descriptor is received by a thread with
// a table of its own, the keeper, which does all that is done with it; to close it
// there drops no lock of the process's.
//
// Passing works on Linux only. Elsewhere nothing is sent and nothing arrives.
package fdpass
