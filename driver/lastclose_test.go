package driver_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"hotswap/driver"
)

// TestTheLastCloseOfAnAttachedFileLeavesNoWALBesideAReplacedOne: whether the attached
// file is a managed database or not, is no more, or ceases to be one at that moment.
func TestTheLastCloseOfAnAttachedFileLeavesNoWALBesideAReplacedOne(t *testing.T) {
	for name, its := range map[string]func(t *testing.T, path string) (closed func()){
		"never managed": func(*testing.T, string) func() { return func() {} },
		"not managed any more": func(t *testing.T, path string) func() {
			pool := openAt(t, path)
			pool.Close()
			return func() {}
		},
		"managed until then": func(t *testing.T, path string) func() {
			pool := openAt(t, path)
			pool.SetMaxIdleConns(-1)
			return func() { go pool.Close() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, next, aside := filepath.Join(dir, "b.db"), filepath.Join(dir, "next.db"), filepath.Join(dir, "aside.db")
			for _, p := range []string{path, next} {
				db, err := sql.Open("sqlite3", p+"?_journal=WAL")
				if err != nil {
					t.Fatal(err)
				}
				mustExec(t, db, "CREATE TABLE t (stamp)")
				db.Close()
			}
			closed := its(t, path)
			main, err := sql.Open(driver.Name, filepath.Join(dir, "a.db")+"?_journal=WAL")
			if err != nil {
				t.Fatal(err)
			}
			defer main.Close()
			main.SetMaxOpenConns(1)
			mustExec(t, main, "ATTACH '"+path+"' AS b; INSERT INTO b.t VALUES ('old'), ('old')")
			if err := errors.Join(os.Rename(path, aside), os.Rename(next, path)); err != nil {
				t.Fatal(err)
			}
			closed()
			main.Close()
			if _, err := os.Lstat(path + "-wal"); err == nil {
				t.Error("its WAL is beside the new one")
			}
			for file, want := range map[string]int{aside: 2, path: 0} {
				db, err := sql.Open("sqlite3", file)
				if err != nil {
					t.Fatal(err)
				}
				var n int
				if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != want {
					t.Errorf("%s has %d rows, %v", filepath.Base(file), n, err)
				}
				db.Close()
			}
		})
	}
}

func openAt(t *testing.T, path string) *sql.DB {
	t.Helper()
	pool, err := sql.Open(driver.Name, path)
	if err == nil {
		err = pool.Ping()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return pool
}
