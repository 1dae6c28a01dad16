package driver_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// TestTheSystemGetsTheMemoryOfConnectionsThatRest: the C library would keep it.
func TestTheSystemGetsTheMemoryOfConnectionsThatRest(t *testing.T) {
	if !amongMany(t) {
		return
	}
	pool, d := startResting(t, t.TempDir(), "live/1.db")
	pool.SetMaxIdleConns(2)
	const bytes = 24 << 20
	mustExec(t, pool, "CREATE TABLE large (v)")
	mustExec(t, pool, "WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT ?) INSERT INTO large SELECT hex(zeroblob(500)) FROM n", bytes/1000)
	mustExec(t, pool, "PRAGMA cache_size = -100000")
	var n int
	if err := pool.QueryRow("SELECT sum(length(v)) FROM large").Scan(&n); err != nil {
		t.Fatal(err)
	}
	// What is allocated last is the end of the heap, which glibc does not keep once it is
	// free.
	first, err := pool.Conn(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, pool, "SELECT 1 FROM large LIMIT 1")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	awaitRest(t, d)
	before := resident(t)
	if before < bytes {
		t.Fatalf("%d bytes are resident: SQLite keeps none of the pages", before)
	}
	driver.Tick(d)
	testenv.Until(t, "the pages are the system's", func() bool { return resident(t) < before-bytes/2 })
}

// resident is how many bytes this process has in memory.
func resident(t *testing.T) int {
	t.Helper()
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Sscan(string(statm), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
