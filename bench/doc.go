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
// # The pause
//
// BenchmarkPause pushes again and again and reports the pause, from gate closed
// to gate open.
package bench
