// Package together is a test: several processes have one database open, each through the
// driver, and pushes come through any of them.
//
// The processes are real ones, this test binary started again: two that serve, with
// readers, writers, transactions, pinned connections and old statements at work in each,
// and one that has only a worker's loop. Each appends what its calls came to, with one
// write(2) a line, to a file that outlives it. The test pushes through them in random
// order, every second one with a stranger, who has the file open through SQLite alone; with -kills, every tenth push meets the death of a process, a stop, or a start.
//
// Each pushed database is a version: its stamp is in every row. Every replaced one is
// kept. From what all processes were told, check finds out whether
//
//   - each acknowledged write is in the version that it went to, once, and in no other;
//   - no call saw two versions, or one that was no longer live when it began;
//   - no call failed;
//   - in each process OnSwap ran once for each swap, before the push returned.
//
// TestKilledAtAnyCall goes through the system calls that a pusher, or its peer, makes from
// the first message until the push has ended, and kills it before one of them each time.
//
// Files are also put at the path by rename, with nobody told; then the processes must move
// to the new one together.
//
// The checker has tests of its own, which feed it histories with one thing wrong each.
//
//	go test ./internal/together
//	go test ./internal/together -run Together -pushes 1000 -timeout 1h
//	go test ./internal/together -run Kills -kills 300 -timeout 1h
//	go test ./internal/together -run MovedThere -moves 100 -timeout 1h
//	go test ./internal/together -run RollbackJournalCalls -wait 20s -v
//	go test ./internal/together -run KilledAtAnyCall -every 1 -timeout 1h
package together
