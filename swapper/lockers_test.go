package swapper

import (
	"errors"
	"strings"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

// TestAPullNamesTheTransactionThatShutsItOut: that SQLite says so is given, since it
// takes ten seconds.
func TestAPullNamesTheTransactionThatShutsItOut(t *testing.T) {
	t.Parallel()
	pool, db := openManaged(t, "?_journal=DELETE", "CREATE TABLE t (v)")
	p := &pull{db: db}
	locked := sqlite3.Error{Code: sqlite3.ErrBusy}
	var held *driver.HeldError
	if err := p.readFailed(t.Context(), "open the database", locked, time.Second); !errors.Is(err, ErrBusy) || errors.As(err, &held) {
		t.Errorf("with nothing held: %v", err)
	}
	conn, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN EXCLUSIVE; INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	err = p.readFailed(t.Context(), "open the database", locked, time.Second)
	if !errors.Is(err, ErrBusy) || !errors.As(err, &held) || len(held.Holders) != 1 || len(p.report.Holders) != 1 {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(err.Error(), "(BEGIN EXCLUSIVE; INSERT INTO t VALUES (1))") || !strings.Contains(hintOf(err), "try again") || strings.Contains(hintOf(err), "--") {
		t.Errorf("%v (%s)", err, hintOf(err))
	}
}
