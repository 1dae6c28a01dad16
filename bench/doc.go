// Package bench measures the driver beside the ones it stands in for, and the
// swap. It has nothing but benchmarks:
//
//	go test -bench . ./bench
//
// # Calls
//
// A machine's speed drifts by more than the differences that matter here. So
// BenchmarkCalls runs all drivers within each iteration, some milliseconds
// each, in turn, and reports the median of the ratios of each iteration:
//
//	hotswap/raw     hotswap over go-sqlite3 as it comes
//	hotswap/cached  hotswap over go-sqlite3 with _stmt_cache_size=64
//	sqlmw/raw       hotswap with an interceptor that does nothing, over raw
//	sqlmw-only/raw  go-sqlite3 in the same interceptor, over raw
//	A/A-p10, -p90   raw over itself: what of a ratio is noise
//	ns, raw-ns      the median time of one operation
//	allocs, raw-allocs
//
// Other SQLite drivers are measured beside these by the module in drivers/.
//
// BenchmarkWriters has several goroutines write one database at once, each driver in
// turn for a while within each iteration, and reports of the writers, and of the readers
// beside them:
//
//	hotswap/cached  what hotswap wrote in that time over what go-sqlite3 with its cache
//	                wrote: the median of the iterations, and its 10th and 90th percentile
//	hotswap/raw     the same over go-sqlite3 as it comes
//	A/A-p10, -p90   go-sqlite3 with its cache over itself
//	...-p50-µs      of one call, over all iterations; so -p99- and -max-
//	...-busy        calls that got SQLITE_BUSY
//
// # The pause
//
// BenchmarkPause pushes again and again and reports the pause, from gate closed
// to gate open. BenchmarkWaitBehindAReport does so behind Rows that stay open.
//
// # The alternatives
//
// BenchmarkPeers has one program with six kinds of workers (workers_test.go),
// and replaces its database by a push, under a RWMutex, by SQLite's backup API,
// and by restarting a process. It reports the longest call over each swap, the
// calls that failed or saw the wrong database by the kind of worker, and fails
// if one of ours did:
//
//	stall-p50-ms, -p99-, -max-  the longest call over each swap, over the swaps
//	calm-p50-ms                 the same for times without one: what is noise
//	failed/swap                 calls that failed at least once, of all kinds
//	failed-KIND/swap            of one kind
//	old-KIND-%                  calls that saw the old database after a swap
//	mixed-KIND/swap             calls that saw both
//
// BenchmarkTimeline, with -record DIR, writes down every call; so does
// BenchmarkPause every pause. The program in plot/ draws them.
//
// # Files
//
// BenchmarkTransfer compares push and pull with cp and SQLite's shell,
// BenchmarkCheck the integrity check with the shell's. All ways run in each
// iteration, in turn; reported are the medians.
//
// # Idle databases
//
// BenchmarkIdle has a program with -idle databases do nothing, with each driver in turn,
// and reports what it uses meanwhile, and how long after a file was replaced OnSwap ran.
//
// # Regressions
//
// compare.sh compares the calls of two commits. README.md has the results.
package bench
