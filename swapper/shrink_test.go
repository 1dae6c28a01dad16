package swapper

import (
	"database/sql"
	"testing"
)

// TestALockedDatabasesWALIsShrunkLater: that it is locked for a moment, as by the close of
// its last connection, is no error of a push that is done.
func TestALockedDatabasesWALIsShrunkLater(t *testing.T) {
	t.Parallel()
	pool, d := openManaged(t, "?_journal=WAL", "CREATE TABLE t (x)")
	pool.SetMaxIdleConns(-1) // nobody has it open
	locker, err := sql.Open("sqlite3", "file:"+d.Path()+"?_locking_mode=EXCLUSIVE")
	if err != nil {
		t.Fatal(err)
	}
	defer locker.Close()
	if _, err := locker.Exec("INSERT INTO t VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if done, err := shrinkWAL(t.Context(), d); done || err != nil {
		t.Errorf("done: %t, %v", done, err)
	}
	locker.Close()
	if done, err := shrinkWAL(t.Context(), d); !done || err != nil {
		t.Errorf("unlocked: %t, %v", done, err)
	}
}
