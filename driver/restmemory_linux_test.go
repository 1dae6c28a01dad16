package driver_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"hotswap/driver"
)

// TestConnectionsThatRestGiveTheirMemoryBack: what they read again comes from the file.
func TestConnectionsThatRestGiveTheirMemoryBack(t *testing.T) {
	if !amongMany(t) {
		return
	}
	pool, d := startResting(t, t.TempDir(), "live/1.db")
	const bytes = 1 << 20
	mustExec(t, pool, "CREATE TABLE large (v)")
	mustExec(t, pool, "WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT ?) INSERT INTO large SELECT hex(zeroblob(500)) FROM n", bytes/1000)
	look := func() (read int) {
		t.Helper()
		before := bytesRead(t)
		var n int
		if err := pool.QueryRow("SELECT sum(length(v)) FROM large").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return bytesRead(t) - before
	}
	look()
	if n := look(); n > bytes/2 {
		t.Fatalf("read %d bytes, which are in its memory", n)
	}
	look()
	if kept := driver.KeptStatements(d); len(kept) == 0 {
		t.Fatal("no statement is kept")
	}
	awaitRest(t, d)
	if n := look(); n > bytes/2 {
		t.Errorf("read %d bytes after a short rest", n)
	}
	awaitRest(t, d)
	driver.Tick(d)
	if kept := driver.KeptStatements(d); len(kept) > 0 {
		t.Errorf("after a long rest these are kept: %q", kept)
	}
	if n := look(); n < bytes {
		t.Errorf("read %d bytes after a long rest: they are in its memory", n)
	}
}

// bytesRead is how many this process has read from files.
func bytesRead(t *testing.T) (n int) {
	t.Helper()
	io, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(string(io), "rchar: %d", &n); err != nil || !strings.HasPrefix(string(io), "rchar") {
		t.Fatal(string(io), err)
	}
	return n
}
