package driver_test

import (
	"database/sql"
	sqldriver "database/sql/driver"
	"fmt"
	"path/filepath"
	"testing"

	"hotswap/driver"
)

// TestClosedRows are asked again by a driver around this one, or an interceptor, which may
// keep them: they answer as go-sqlite3's do, and leave the connection's other Rows alone.
func TestClosedRows(t *testing.T) {
	ctx := t.Context()
	const query = "SELECT v FROM t"
	var answers [2]string
	for i, name := range []string{"sqlite3", driver.Name} {
		db, err := sql.Open(name, "file:"+filepath.Join(t.TempDir(), "live.sqlite3"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		mustExec(t, db, "CREATE TABLE t (v)")
		mustExec(t, db, "INSERT INTO t VALUES ('a')")
		err = connect(t, db).Raw(func(dc any) error {
			open := func() sqldriver.Rows {
				rows, err := dc.(sqldriver.QueryerContext).QueryContext(ctx, query, nil)
				if err != nil {
					t.Fatal(err)
				}
				return rows
			}
			row := make([]sqldriver.Value, 1)
			say := func(what any) { answers[i] += fmt.Sprintln(what) }
			for range 4 { // kept from the second on
				rows := open()
				say(rows.Close())
				other := open()
				say(rows.Close())
				say(rows.Next(row))
				say(rows.Columns())
				say(other.Next(row))
				say(row[0])
				say(other.Close())
				say(rows.Close())
			}
			tx, err := dc.(sqldriver.ConnBeginTx).BeginTx(ctx, sqldriver.TxOptions{})
			if err != nil {
				return err
			}
			rows := open()
			say(rows.Close())
			say(rows.Close())
			say(tx.Commit())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if answers[0] != answers[1] {
		t.Errorf("go-sqlite3's say\n%sthese say\n%s", answers[0], answers[1])
	}
}
