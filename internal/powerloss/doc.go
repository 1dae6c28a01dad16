// Package powerloss is a test of package swapper and nothing else: it proves
// what a power loss leaves of a push.
//
// A program writes, pushes a database while it writes, and writes again. Every
// system call of it that changes or syncs the database's directory is seen by
// ptrace(2). What a power loss leaves must be, at the live path, exactly the
// old database with every write that was acknowledged, or exactly the new one;
// and from the moment that Push has returned the new one, beside it the old one
// whole if a backup was asked for. This is asked in two ways that have only the
// program and the question in common.
//
// # Replay
//
// TestNoStateThatAPowerLossMayLeaveIsAMixture replays the recorded calls in a
// model of a disk; it needs no rights. What was changed and not synced since is
// pending, and a power loss keeps any part of it: each change of a file, in
// blocks of 4 KiB, is kept, lost, or hollow: its length kept and its bytes lost;
// each change of the directory is kept or lost. Behind every call such states
// are made; fates tells which. The -shm is always lost.
//
// Changes of the directory are kept in one of two ways. In order: one that is
// kept has all before it kept, as in the logs of ext4 and XFS, whose
// transactions are replayed in order. Or any choice of them, since POSIX
// promises nothing; no file system with a log makes most of these states. A
// push must survive both. In two things the model is weaker than ext4 and XFS:
// a sync of a file keeps nothing but its bytes, not its name, and nothing is
// kept in order between a file and its directory.
//
// # Real file systems
//
// TestAPowerLossOnARealFileSystemLeavesTheOldOrTheNewDatabase needs root, loop
// devices and mkfs. The program runs on ext4 and on XFS. Before a call of the
// push the file system is shut down, by the ioctl that its own developers test
// crashes with; logFate tells what of it is on the disk. It is mounted again,
// which replays its log, and looked at; then another push must succeed and
// leave nothing behind.
//
// An ordinary run looks at some states and calls, one with -every at all. What
// neither way shows is a disk that loses what it has confirmed as written.
//
// # A pull into a file
//
// TestNoStateThatAPowerLossMayLeaveOfAPullIsAMixture replays what the command does that
// pulls into a file which exists.
//
// # The harness bites
//
// Both are tried on pushes with a step left out, and must find what is bad.
package powerloss
