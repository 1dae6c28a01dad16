// Command hotswap replaces the SQLite database of a running Go program, and
// takes snapshots of it, with a command as plain as cp.
//
//	hotswap cp new.sqlite3 db/production.sqlite3     # push: swap it in
//	hotswap cp db/production.sqlite3 copy.sqlite3    # pull: a consistent copy
//	hotswap cp db/production.sqlite3 - | gzip > copy.gz
//	hotswap status
//
// The program serves the sockets that it talks to; see package
// hotswap/sockserver.
package main

import (
	"context"
	"os"
)

func main() {
	stdio := standardStreams()
	ctx, stop := interruptible(context.Background(), stdio)
	code := run(ctx, os.Args[1:], stdio)
	stop()
	os.Exit(code)
}
