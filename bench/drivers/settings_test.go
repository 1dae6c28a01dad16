package drivers

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/mattn/go-sqlite3"
	_ "github.com/ncruces/go-sqlite3/driver"
	_ "modernc.org/sqlite"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"hotswap/driver"
)

// The drivers under comparison, raw first.
var drivers = []struct{ name, registered, dsn string }{
	{"raw", "sqlite3", goSQLite3},
	{"again", "sqlite3", goSQLite3},
	{"cached", "sqlite3", goSQLite3 + "&_stmt_cache_size=64"},
	{"hotswap", driver.Name, goSQLite3},
	{"modernc", "sqlite", pragmas},
	{"ncruces", "ncruces", pragmas},
	{"zombiezen", "", ""},
}

const (
	goSQLite3 = "?_busy_timeout=5000&_journal_mode=WAL&_synchronous=OFF&_txlock=%s"
	pragmas   = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)&_pragma=synchronous(off)&_txlock=%s"
)

// settings are what all are measured with, the first two set, the others SQLite's defaults.
var settings = []struct{ pragma, want string }{
	{"journal_mode", "wal"},
	{"synchronous", "0"},
	{"cache_size", "-2000"},
	{"page_size", "4096"},
	{"wal_autocheckpoint", "1000"},
	{"mmap_size", "0"},
	{"threads", "0"},
}

// openPool opens a pool whose transactions begin in the mode txlock, which is no driver's
// default of all.
func openPool(tb testing.TB, registered, dsn, path, txlock string) *sql.DB {
	tb.Helper()
	db, err := sql.Open(registered, "file:"+path+fmt.Sprintf(dsn, txlock))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	return db
}

// openConn opens a connection of zombiezen's, which waits for locks for as long as the
// others do.
func openConn(tb testing.TB, path string) *sqlite.Conn {
	tb.Helper()
	conn, err := sqlite.OpenConn(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	conn.SetBusyTimeout(busyTimeout)
	if err := sqlitex.ExecuteTransient(conn, "PRAGMA synchronous = OFF", nil); err != nil {
		tb.Fatal(err)
	}
	return conn
}

// tempDir returns a directory on tmpfs where there is one, so that what is measured is not
// the disk.
func tempDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "hotswap-drivers-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func TestAllHaveTheSameSettings(t *testing.T) {
	for _, d := range drivers {
		path := filepath.Join(t.TempDir(), "live.sqlite3")
		get := func(query string) (value string, err error) {
			err = sqlitex.ExecuteTransient(openConn(t, path), query, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
				value = stmt.ColumnText(0)
				return nil
			}})
			return value, err
		}
		if d.registered != "" {
			db := openPool(t, d.registered, d.dsn, path, "deferred")
			get = func(query string) (value string, err error) {
				err = db.QueryRow(query).Scan(&value)
				return value, err
			}
		}
		version, err := get("SELECT sqlite_version()")
		if err != nil {
			t.Fatal(d.name, err)
		}
		t.Logf("%s: SQLite %s", d.name, version)
		for _, s := range settings {
			got, err := get("PRAGMA " + s.pragma)
			if s.pragma == "mmap_size" && (errors.Is(err, sql.ErrNoRows) || err == nil && got == "") {
				got, err = "0", nil // compiled without it
			}
			if err != nil || got != s.want {
				t.Errorf("%s: PRAGMA %s is %q, %v; want %s", d.name, s.pragma, got, err, s.want)
			}
		}
	}
}
