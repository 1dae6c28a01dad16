package driver_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

// TestTheManagedPathIsTheOneThatSQLiteOpens asks SQLite itself.
func TestTheManagedPathIsTheOneThatSQLiteOpens(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	if err := os.MkdirAll("sub/deep", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, link := range [][2]string{{"sub/real.db", "one.db"}, {"sub/deep", "linked"}, {"later.db", "dangling.db"}} {
		if err := os.Symlink(link[0], link[1]); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"one.db", "./linked/../x.db", "sub/../y.db", "none/../z.db", "dangling.db", "file:linked/../w.db", "linked//v.db"} {
		raw, err := sql.Open("sqlite3", name)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := raw.Conn(context.Background())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var want string
		conn.Raw(func(c any) error { want = c.(*sqlite3.SQLiteConn).GetFilename(""); return nil })
		conn.Close()
		raw.Close()
		ours, err := sql.Open(driver.Name, name)
		if err != nil {
			t.Fatal(err)
		}
		if all := driver.Databases(); len(all) != 1 || all[0].Path() != want {
			t.Errorf("%s: managed %v, SQLite opens %s", name, all, want)
		}
		ours.Close()
	}
}

func TestADirectoryThatIsMadeAfterThePoolIsNoReasonNotToManageADatabase(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "db", "live.db")
	pool, err := sql.Open(driver.Name, "file:"+path+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if err := pool.Ping(); err == nil {
		t.Error("opened in a directory that is not there")
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := pool.Ping(); err != nil {
		t.Fatal(err)
	}
	db, managed := driver.Lookup(path)
	if !managed {
		t.Fatal("it is not managed")
	}
	frozen, err := db.Freeze(t.Context(), driver.FreezeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if frozen.Connections != 1 {
		t.Errorf("%d connections were closed", frozen.Connections)
	}
	frozen.Thaw()
	pool.Close()
	if all := driver.Databases(); len(all) != 0 {
		t.Errorf("%v after the pool was closed", all)
	}
}
