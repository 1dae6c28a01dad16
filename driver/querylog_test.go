package driver_test

import (
	"bytes"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"hotswap/driver"
)

func TestTheQueryLogNamesQueriesWithoutArguments(t *testing.T) {
	var buf bytes.Buffer
	name := register(t, driver.WithInterceptor(driver.QueryLog(zerolog.New(&buf), 1)))
	db, err := sql.Open(name, filepath.Join(t.TempDir(), "x.sqlite3"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	mustExec(t, db, "CREATE TABLE t (x)")
	mustExec(t, db, "INSERT INTO t VALUES (?)", "secret")
	db.Exec("INSERT INTO nowhere VALUES (1)")
	out := buf.String()
	if strings.Count(out, `"level":"warn"`) != 2 || !strings.Contains(out, `"level":"error"`) || strings.Contains(out, "secret") || !strings.Contains(out, "INSERT INTO t VALUES (?)") {
		t.Errorf("log:\n%s", out)
	}
}
