package driver_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/driver"
	"hotswap/internal/inside"
)

func TestOneFileIsOneDatabaseByWhateverName(t *testing.T) {
	dir := t.TempDir()
	real := filepath.Join(dir, "real?%#.sqlite3")
	link := filepath.Join(dir, "link.sqlite3")
	if err := os.Symlink(filepath.Base(real), link); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	names := []string{"file:real%3f%25%23.sqlite3", "file:" + dir + "/./real%3F%25%23.sqlite3?mode=rwc", "file://localhost" + dir + "/real%3f%25%23.sqlite3#frag"}
	for _, n := range names {
		db, err := sql.Open(driver.Name, n)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Ping(); err != nil {
			t.Fatal(n, err)
		}
		mustExec(t, db, "CREATE TABLE IF NOT EXISTS t (x)")
		if all := driver.Databases(); len(all) != 1 || all[0].Path() != real {
			t.Fatalf("%s: %v", n, all[0].Path())
		}
	}
	d, ok := driver.Lookup(link)
	if !ok || d.Path() != real || d.Stats().Connections != 3 {
		t.Errorf("by the symlink: %v", d)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("files: %v", entries)
	}
	// A chdir leads nobody astray.
	t.Chdir(t.TempDir())
	swap(t, d)
	if _, err := inside.Of(d).Reconnect(); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir("."); len(entries) != 0 {
		t.Errorf("a database was made in the new working directory: %v", entries)
	}
}

func TestWhatHasNoFileIsNotManaged(t *testing.T) {
	for _, dsn := range []string{":memory:", "", "file::memory:", "file:x?mode=memory&cache=shared", "file:/x?vfs=memdb", "/no/such/directory/x.sqlite3"} {
		db, err := sql.Open(driver.Name, dsn)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(driver.Databases()); n != 0 {
			t.Errorf("%q: %d managed", dsn, n)
		}
		var one int
		fails := strings.HasPrefix(dsn, "/no") || driver.UnlockNotify && strings.Contains(dsn, "cache=shared")
		if err := db.QueryRow("SELECT 1").Scan(&one); (err == nil) == fails {
			t.Errorf("%q: %v", dsn, err)
		}
		db.Close()
	}
}
