package driver_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/testenv"
)

// TestAMoveWaitsForAHoldWithTheAttachersCallsFlowing: the database whose file was
// replaced is read for long; another one, which has it attached, has nothing to do
// with that.
func TestAMoveWaitsForAHoldWithTheAttachersCallsFlowing(t *testing.T) {
	t.Parallel()
	r := startReplaced(t, "WAL")
	other := filepath.Join(t.TempDir(), "other.sqlite3")
	attacher, err := sql.Open(driver.Name, "file:"+other+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer attacher.Close()
	mustExec(t, attacher, "CREATE TABLE u (v)")
	conn := connect(t, attacher)
	mustExec(t, conn, "ATTACH '"+r.live+"' AS live")
	rows, err := r.pool.Query("SELECT id FROM t")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	rows.Next()
	r.mv()
	testenv.Until(t, "the move waits for the reader", inside.Of(r.db).Freezing)
	for range 20 {
		mustExec(t, conn, "INSERT INTO u VALUES (1)")
	}
	if !rows.Next() {
		t.Errorf("the attacher's calls waited until the reader was ended: %v", rows.Err())
	}
	rows.Close()
	r.adopted()
	var got string
	if err := conn.QueryRowContext(t.Context(), "SELECT min(stamp) FROM live.t").Scan(&got); err != nil || got != "new" {
		t.Errorf("the attacher reads %q, %v", got, err)
	}
	if d, _ := driver.Lookup(other); d.Generation() != 1 {
		t.Errorf("the attacher's generation is %d", d.Generation())
	}
}
