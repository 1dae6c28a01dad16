package driver_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"hotswap/driver"
)

// family is a database whose foreign keys are checked, with one connection. childFirst adds
// a row, in a transaction that is begun so, before the one that it refers to.
func family(t *testing.T) (db *sql.DB, d *driver.Database, childFirst func(begin string) error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "live.sqlite3")
	db, err := sql.Open(driver.Name, path+"?_foreign_keys=1") // which reads no schema
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	mustExec(t, db, "CREATE TABLE parent (id INTEGER PRIMARY KEY)")
	mustExec(t, db, "CREATE TABLE child (parent REFERENCES parent)")
	d, _ = driver.Lookup(path)
	return db, d, func(begin string) error {
		mustExec(t, db, begin)
		if _, err := db.Exec("INSERT INTO child VALUES (1)"); err != nil {
			mustExec(t, db, "ROLLBACK")
			return err
		}
		mustExec(t, db, "INSERT INTO parent VALUES (1)")
		mustExec(t, db, "DELETE FROM child")
		mustExec(t, db, "DELETE FROM parent")
		mustExec(t, db, "COMMIT")
		return nil
	}
}

// SQLite ends it with the next transaction, so that it is not set again by a swap behind
// that one.
func TestForeignKeysStayDeferredOverASwapForOneTransaction(t *testing.T) {
	db, d, childFirst := family(t)
	mustExec(t, db, "PRAGMA defer_foreign_keys = 1")
	swap(t, d)
	swap(t, d)
	if err := childFirst("BEGIN"); err != nil {
		t.Error(err)
	}
	swap(t, d)
	if err := childFirst("BEGIN"); err == nil {
		t.Error("deferred for another transaction")
	}
	if err := childFirst("BEGIN; PRAGMA defer_foreign_keys = 1"); err != nil {
		t.Error(err)
	}
	swap(t, d)
	if err := childFirst("BEGIN"); err == nil {
		t.Error("deferred in a transaction, and behind it")
	}
}

// TestADeferralEndsWithTheTransactionThatAForcedSwapEnds, as SQLite has it with any ROLLBACK.
func TestADeferralEndsWithTheTransactionThatAForcedSwapEnds(t *testing.T) {
	for _, begin := range []string{"PRAGMA defer_foreign_keys = 1; BEGIN", "BEGIN; PRAGMA defer_foreign_keys = 1"} {
		db, d, childFirst := family(t)
		conn := connect(t, db)
		mustExec(t, conn, begin)
		mustExec(t, conn, "INSERT INTO child VALUES (1)")
		f := mustFreeze(t, d, driver.FreezeOptions{Timeout: 1, Force: true})
		f.Thaw()
		if _, err := conn.ExecContext(t.Context(), "COMMIT"); !errors.Is(err, driver.ErrForced) {
			t.Errorf("%s: its COMMIT: %v", begin, err)
		}
		conn.Close()
		if err := childFirst("BEGIN"); err == nil {
			t.Errorf("%s: foreign keys are deferred for another transaction", begin)
		}
		var n int
		if err := db.QueryRow("SELECT count(*) FROM child").Scan(&n); err != nil || n != 0 {
			t.Errorf("%s: %d orphans were committed, %v", begin, n, err)
		}
	}
}
