package swapper

import (
	"database/sql"
	"math"
	"path/filepath"
	"testing"
	"time"

	"hotswap/driver"
)

// TestATimeoutOfMonthsIsNotNone: SQLite counts milliseconds in a C int.
func TestATimeoutOfMonthsIsNotNone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "live.sqlite3")
	pool, err := sql.Open(driver.Name, path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec("CREATE TABLE t (v)"); err != nil {
		t.Fatal(err)
	}
	db, _ := driver.Lookup(path)
	l, err := openLive(t.Context(), db, 60*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	var got int
	if err := l.pool.QueryRow("PRAGMA busy_timeout").Scan(&got); err != nil || got != math.MaxInt32 {
		t.Errorf("SQLite waits for %d ms, %v", got, err)
	}
}
