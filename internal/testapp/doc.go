// Package testapp is a small but real service on top of a SQLite database that is
// opened through hotswap's driver. The tests and `hotswap demo` swap its
// database under it; `go run ./internal/testapp/serve` runs it by itself.
//
// It holds connections in all the ways a program does: HTTP handlers that
// read, write and run transactions; a job queue that claims jobs in
// transactions; a worker on a pinned [database/sql.Conn] that says BEGIN and
// COMMIT as SQL text; a statement prepared once at start; a loop that queries
// inside open Rows; a cache. None of it knows about swaps, but for the cache.
//
//	svc, err := testapp.Start(ctx, testapp.Config{Path: "shop.db"})
//	load := svc.StartLoad(testapp.LoadConfig{Readers: 4, Writers: 2})
//	...
//	load.Stop()
//	err = svc.Close(ctx)
//
// Around the service there is what it takes to prove that a swap did no harm:
//
//   - [Fixture] makes databases that carry their generation on many pages, so
//     that a read which sees two generations proves that two files were mixed;
//   - [History] records each write and read with the time it ran;
//   - [Trail] keeps each file that was replaced;
//   - [Check] compares the two and names the write that was lost, doubled, put
//     into the wrong file or done by half, and the read that was mixed, stale
//     or went back;
//   - [Meter] counts calls served and failed, and keeps their latencies.
//
// Any database can be served: the service adds its own tables, all named
// testapp_*, and leaves the others alone.
package testapp
