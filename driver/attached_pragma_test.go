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

// TestAPragmaThatSQLiteTakesForAQuestionSetsNothing: it does not replace the setting before it.
func TestAPragmaThatSQLiteTakesForAQuestionSetsNothing(t *testing.T) {
	for pragma, values := range map[string][]string{
		"max_page_count": {"100", "OFF", "0", "-1", "'12x'", "1.5", "99999999999999999999"},
		"locking_mode":   {"EXCLUSIVE", "junk", "1"},
		"analysis_limit": {"+100", "-1", "OFF", "'7 7'"},
		"threads":        {"0x2", "-1", "0xffffffffffffffff", "many"},
	} {
		for _, ignored := range values[1:] {
			theirs, _ := pragmaSide(t, "sqlite3", "DELETE")
			ours, d := pragmaSide(t, driver.Name, "DELETE")
			var want, got string
			for conn, answer := range map[*sql.Conn]*string{theirs.Conn: &want, ours.Conn: &got} {
				mustExec(t, conn, "PRAGMA "+pragma+" = "+values[0])
				mustExec(t, conn, "PRAGMA "+pragma+" = "+ignored)
				if conn == ours.Conn {
					swap(t, d)
				}
				if err := conn.QueryRowContext(context.Background(), "PRAGMA "+pragma).Scan(answer); err != nil {
					t.Fatal(err)
				}
			}
			if got != want {
				t.Errorf("%s = %s and %s: %s after a swap, want %s", pragma, values[0], ignored, got, want)
			}
		}
	}
}
