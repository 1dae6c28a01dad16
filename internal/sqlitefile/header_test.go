package sqlitefile_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/internal/sqlitefile"
)

func TestAFileIsWholeFromItsLastByteOn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.db")
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA page_size=1024; PRAGMA journal_mode=WAL; CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(5000))"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, err := sqlitefile.Parse(content)
	if err != nil || head.PageSize != 1024 || !head.Versions.WAL() || head.Size() != int64(len(content)) {
		t.Errorf("%+v, %v", head, err)
	}
	for n, want := range map[int]string{
		0:                  "empty",
		50:                 "less than a database's header",
		100:                "is truncated",
		len(content) - 1:   "is truncated",
		len(content):       "",
		len(content) + 999: "", // SQLite passes over what is behind the last page
	} {
		if err := os.WriteFile(path, append(content[:min(n, len(content)):min(n, len(content))], make([]byte, max(0, n-len(content)))...), 0o600); err != nil {
			t.Fatal(err)
		}
		err := sqlitefile.CheckWhole(path)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d of %d bytes: %v, not %q", n, len(content), err, want)
		}
	}
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sqlitefile.CheckWhole(path); err == nil || !strings.Contains(err.Error(), "not an SQLite database") {
		t.Error(err)
	}
	if err := sqlitefile.CheckWhole(dir); err == nil || !strings.Contains(err.Error(), "not a regular file (it is a directory)") {
		t.Error(err)
	}
}
