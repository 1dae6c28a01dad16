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
// openManaged opens a pool of a new managed database, and runs these statements.
func openManaged(t *testing.T, params, statements string) (*sql.DB, *driver.Database) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "live.sqlite3")
	pool, err := sql.Open(driver.Name, "file:"+path+params)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	if _, err := pool.Exec(statements); err != nil {
		t.Fatal(err)
	}
	db, ok := driver.Lookup(path)
	if !ok {
		t.Fatal("not managed")
	}
	return pool, db
}

func TestATimeoutOfMonthsIsNotNone(t *testing.T) {
	t.Parallel()
	_, db := openManaged(t, "", "CREATE TABLE t (v)")
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
