package driver_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"hotswap/driver"
)

// TestAJournalModeIsThatOfItsOwnSchema: replaying one must not convert an attached
// database that somebody has made a WAL database, nor be left out because the main one
// is.
func TestAJournalModeIsThatOfItsOwnSchema(t *testing.T) {
	for _, main := range []string{"DELETE", "WAL"} {
		t.Run(main, func(t *testing.T) {
			conn, d := impatient(t)
			file := filepath.Join(t.TempDir(), "side.db")
			mustExec(t, conn, "PRAGMA journal_mode = "+main)
			mustExec(t, conn, "ATTACH ? AS side; CREATE TABLE side.s (x)", file)
			mustExec(t, conn, "PRAGMA side.journal_mode = TRUNCATE")
			swap(t, d)
			if mode := journalMode(t, conn, "side"); mode != "truncate" {
				t.Errorf("after a swap %s", mode)
			}
			f := mustFreeze(t, d, driver.FreezeOptions{})
			other, err := sql.Open("sqlite3", file)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			mustExec(t, other, "PRAGMA journal_mode = WAL")
			f.Replaced()
			f.Thaw()
			if mode := journalMode(t, conn, "side"); mode != "wal" {
				t.Errorf("the attached WAL database was converted: %s", mode)
			}
		})
	}
}

func journalMode(t *testing.T, conn *sql.Conn, schema string) (mode string) {
	t.Helper()
	if err := conn.QueryRowContext(context.Background(), "PRAGMA "+schema+".journal_mode").Scan(&mode); err != nil {
		t.Fatal(err)
	}
	return mode
}
