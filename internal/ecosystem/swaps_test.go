package ecosystem

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"hotswap/driver"
	"hotswap/swapper"
)

// querier is what most libraries' handles have in common.
type querier interface {
	Exec(query string, args ...any) (sql.Result, error)
	Query(query string, args ...any) (*sql.Rows, error)
}

// swapsReach looks whether the database that db has open at path is managed: what is
// written through db can be pulled, and what is pushed is read through it.
func swapsReach(t *testing.T, path string, db querier) {
	t.Helper()
	for _, query := range []string{
		"CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL)",
		"DELETE FROM notes",
		"INSERT INTO notes (body) VALUES ('written')",
	} {
		if _, err := db.Exec(query); err != nil {
			t.Fatal(query, err)
		}
	}
	d, ok := driver.Lookup(path)
	if !ok {
		t.Fatalf("%s is not managed", path)
	}
	var pulled bytes.Buffer
	if _, err := swapper.Pull(t.Context(), d, &pulled, swapper.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(t.TempDir(), "next.db")
	if err := os.WriteFile(next, pulled.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	plain, err := sql.Open("sqlite3", next)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := plain.Exec("UPDATE notes SET body = body || ', then pushed'"); err != nil {
		t.Fatal(err)
	}
	plain.Close()
	for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
		was := d.Generation()
		file, err := os.Open(next)
		if err != nil {
			t.Fatal(err)
		}
		_, err = swapper.Push(t.Context(), d, file, swapper.PushOptions{Method: method})
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		if now := d.Generation(); now != was+1 {
			t.Errorf("generation %d after %d", now, was)
		}
		if got := firstNote(t, db); got != "written, then pushed" {
			t.Errorf("%v: read %q", method, got)
		}
	}
}

func firstNote(t *testing.T, db querier) (body string) {
	t.Helper()
	rows, err := db.Query("SELECT body FROM notes")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if !rows.Next() {
		t.Fatal("no rows: ", rows.Err())
	}
	if err := rows.Scan(&body); err != nil {
		t.Fatal(err)
	}
	return body
}
