package driver

import (
	"database/sql"
	"os"
	"strings"
	"testing"
)

// TestAURIIsReadAsSQLiteReadsIt: an odd name leads to the file that go-sqlite3 makes of it,
// and that is managed.
func TestAURIIsReadAsSQLiteReadsIt(t *testing.T) {
	for _, name := range []string{
		"100%.db", "a%zz.db", "a%5.db", "a%2Gb.db", "%", "a%", "a%4", "a%41.db", "a%e9.db", "%41%zz%42", "a.db%00junk",
		"a.db?mode=memory&mode=rwc", "a.db?vfs=none&vfs=unix", "a.db#b.db", "a+b.db",
		"a.db#f?mode=memory", "a.db#f?vfs=unix&cache=shared&nolock=1", "a.db?cache=shared#f",
	} {
		if unlockNotify && strings.HasSuffix(name, "?cache=shared#f") {
			continue // refused
		}
		made := func(driver string) (string, string) {
			t.Helper()
			dir := t.TempDir()
			db, err := sql.Open(driver, "file:"+dir+"/"+name)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec("CREATE TABLE t (x)"); err != nil {
				t.Fatalf("%s of %q: %v", driver, name, err)
			}
			list, err := os.ReadDir(dir)
			if err != nil || len(list) != 1 {
				t.Fatalf("%s made %v of %q (%v)", driver, list, name, err)
			}
			if _, managed := Lookup(dir + "/" + list[0].Name()); managed != (driver == Name) {
				t.Errorf("%q: managed by %s: %v", name, driver, managed)
			}
			return dir, list[0].Name()
		}
		_, raw := made("sqlite3")
		if _, ours := made(Name); ours != raw {
			t.Errorf("%q is %q here and %q on go-sqlite3", name, ours, raw)
		}
	}
}
