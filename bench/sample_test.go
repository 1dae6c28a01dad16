package bench

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// samples are the databases that the transfers and the checks work on: made
// once, for making 1 GB takes longer than copying it.
var samples struct {
	sync.Mutex
	dir   string
	paths map[int]string
}

const sampleTables = 4

// sample returns a database of about so many megabytes on the disk, of rows and
// an index per table as programs have them rather than of a few large blobs:
// what a check costs is by the row.
func sample(tb testing.TB, mb int) string {
	tb.Helper()
	samples.Lock()
	defer samples.Unlock()
	if path, ok := samples.paths[mb]; ok {
		return path
	}
	if samples.dir == "" && *sampleDir != "" {
		samples.dir, samples.paths = *sampleDir, map[int]string{}
	}
	if samples.dir == "" {
		dir, err := os.MkdirTemp("", "hotswap-bench-")
		if err != nil {
			tb.Fatal(err)
		}
		samples.dir, samples.paths = dir, map[int]string{}
	}
	path := filepath.Join(samples.dir, fmt.Sprint(mb, "MB.sqlite3"))
	if _, err := os.Stat(path); err == nil { // of an earlier run
		samples.paths[mb] = path
		return path
	}
	db, err := sql.Open("sqlite3", "file:"+path+"?_journal=OFF&_sync=OFF&_locking=EXCLUSIVE&_cache_size=-200000")
	if err != nil {
		tb.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	const bytesPerRow = 213 // with its share of the index
	for i := range sampleTables {
		exec(tb, db, fmt.Sprintf("CREATE TABLE t%d (id INTEGER PRIMARY KEY, name TEXT, n INTEGER, body TEXT)", i))
		exec(tb, db, fmt.Sprintf(`WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM i WHERE n < %d)
			INSERT INTO t%d SELECT n, 'name ' || (n * 7919 %% 1000003), n, hex(zeroblob(80)) FROM i`, mb*1e6/bytesPerRow/sampleTables, i))
		exec(tb, db, fmt.Sprintf("CREATE INDEX i%d ON t%d (name)", i, i))
	}
	var mode string
	if err := db.QueryRow("PRAGMA journal_mode=DELETE").Scan(&mode); err != nil {
		tb.Fatal(err)
	}
	samples.paths[mb] = path
	return path
}

func removeSamples() error {
	if samples.dir == "" || samples.dir == *sampleDir {
		return nil
	}
	return os.RemoveAll(samples.dir)
}

// sampleSizes are the sizes, in megabytes, that a benchmark is to run on.
func sampleSizes() []int {
	if *large {
		return []int{100, 1000}
	}
	return []int{100}
}
