package driver_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// TestTheLastConnectionThatMayWriteLeavesNothingInTheWAL: those that are left can't
// move it into the file, which is moved away then; or before.
func TestTheLastConnectionThatMayWriteLeavesNothingInTheWAL(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(writer, reader *sql.DB, mv func(), d *driver.Database){
		"the move": func(_, reader *sql.DB, mv func(), d *driver.Database) {
			mv()
			testenv.Until(t, "they have moved", func() bool {
				reader.QueryRow("SELECT 1").Scan(new(int))
				return d.Generation() == 2
			})
		},
		"closed after it":  func(writer, reader *sql.DB, mv func(), _ *driver.Database) { mv(); writer.Close(); reader.Close() },
		"closed before it": func(writer, reader *sql.DB, mv func(), _ *driver.Database) { writer.Close(); mv(); reader.Close() },
	} {
		dir := t.TempDir()
		path, next, aside := filepath.Join(dir, "live.db"), filepath.Join(dir, "next.db"), filepath.Join(dir, "aside.db")
		makeStamped(t, next, "new")
		writer, err := sql.Open(driver.Name, "file:"+path+"?_journal=WAL")
		if err != nil {
			t.Fatal(err)
		}
		defer writer.Close()
		mustExec(t, writer, "CREATE TABLE t (v)")
		reader, err := sql.Open(driver.Name, "file:"+path+"?mode=ro")
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		var n int
		for range 100 {
			mustExec(t, writer, "INSERT INTO t VALUES (1)")
			if err := reader.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
				t.Fatal(err)
			}
		}
		d, _ := driver.Lookup(path)
		leave(writer, reader, func() {
			if err := errors.Join(os.Rename(path, aside), os.Rename(next, path)); err != nil {
				t.Fatal(err)
			}
		}, d)
		old, err := sql.Open("sqlite3", "file:"+aside+"?mode=ro")
		if err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		if err := old.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 100 {
			t.Errorf("%s: %d of 100 rows in the old file, %v", name, n, err)
		}
		left, _ := filepath.Glob(path + "-wal*")
		for _, name := range left {
			if info, err := os.Stat(name); err == nil && info.Size() > 0 {
				t.Errorf("%s is left", name)
			}
		}
	}
}

// TestTheLastCloseCountsNoConnectionOfAnotherDriver: that one, plain go-sqlite3's, is
// closed after it, and leaves a WAL beside another file that is there by then.
func TestTheLastCloseCountsNoConnectionOfAnotherDriver(t *testing.T) {
	for _, movedBefore := range []bool{true, false} {
		t.Run(fmt.Sprintf("moved before it %v", movedBefore), func(t *testing.T) {
			dir := t.TempDir()
			path, next, aside := filepath.Join(dir, "a.db"), filepath.Join(dir, "next.db"), filepath.Join(dir, "aside.db")
			makeStamped(t, path, "old")
			makeStamped(t, next, "new")
			pool := openAt(t, path)
			mustExec(t, pool, "INSERT INTO t VALUES ('written')")
			plain, err := sql.Open("sqlite3", path)
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Close()
			if s := stampOf(plain, "t"); s != "old,written" {
				t.Fatalf("read %q", s)
			}
			if !movedBefore {
				pool.Close()
			}
			if err := errors.Join(os.Rename(path, aside), os.Rename(next, path)); err != nil {
				t.Fatal(err)
			}
			pool.Close()
			plain.Close()
			if s := stampOf(openAt(t, path), "t"); s != "new" {
				t.Errorf("the new file has %q", s)
			}
			if s := stampOf(openAt(t, aside), "t"); s != "old,written" {
				t.Errorf("the old file has %q", s)
			}
		})
	}
}

// TestReadersPutAsideTheWALOfAWriterThatDied: none of them could move it into the file.
func TestReadersPutAsideTheWALOfAWriterThatDied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, next, aside := filepath.Join(dir, "live.db"), filepath.Join(dir, "next.db"), filepath.Join(dir, "aside.db")
	makeStamped(t, next, "new")
	// What a process leaves that dies: the files as they are while it writes.
	writer, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "writes.db")+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	mustExec(t, writer, "CREATE TABLE t (v)")
	mustExec(t, writer, "INSERT INTO t VALUES (1)")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(filepath.Join(dir, "writes.db"+suffix))
		if err == nil {
			err = os.WriteFile(path+suffix, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	reader, err := sql.Open(driver.Name, "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var n int
	if err := reader.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if err := errors.Join(os.Rename(path, aside), os.Rename(next, path)); err != nil {
		t.Fatal(err)
	}
	reader.Close()
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a WAL is beside the new file: %v", err)
	}
	logs, err := filepath.Glob(path + "-wal.of-replaced-*")
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}
	if err := os.Rename(logs[0], aside+"-wal"); err != nil {
		t.Fatal(err)
	}
	old, err := sql.Open("sqlite3", "file:"+aside)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := old.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}
