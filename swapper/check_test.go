package swapper

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/driver"
)

func TestPageThatCouldNotBeReadIsNotCorruption(t *testing.T) {
	for line, want := range map[string]bool{
		"Tree 2 page 2 cell 0: unable to get the page. error code=266": true, // SQLITE_IOERR_READ
		"Tree 2 page 2: unable to get the page. error code=10":         true,
		"Tree 2 page 2: unable to get the page. error code=11":         false, // SQLITE_CORRUPT
		"Tree 2 page 2: btreeInitPage() returns error code 11":         false,
		"wrong # of entries in index error code=":                      false,
		"ok": false,
	} {
		if got := tellsOfIO(line); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

func TestStageThatTheProgramCouldNotOpenIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "live.sqlite3")
	pool, err := sql.Open(driver.Name, "file:"+path+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec("CREATE TABLE t (v); PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	db, _ := driver.Lookup(path)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := createStage(path, kindStage)
	if err != nil {
		t.Fatal(err)
	}
	defer s.discard()
	if _, err := s.file.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := s.rehearse(context.Background(), db); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(s.path); err != nil || !bytes.Equal(after, content) || s.assertAlone() != nil {
		t.Errorf("the rehearsal changed the stage, or left a file beside it: %v, %v", err, s.assertAlone())
	}
	if err := os.Mkdir(s.path+"-wal", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.rehearse(context.Background(), db); err == nil || !strings.Contains(err.Error(), "open the new database as the program will") {
		t.Errorf("got %v", err)
	}
}
