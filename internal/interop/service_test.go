package interop

import (
	"crypto/sha256"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

func digest(db *sql.DB) (string, error) {
	rows, err := db.Query("SELECT id, stamp, hex(filler) FROM items ORDER BY id")
	if err != nil {
		return "", err
	}
	defer rows.Close()
	h := sha256.New()
	for rows.Next() {
		var id, stamp, filler string
		if err := rows.Scan(&id, &stamp, &filler); err != nil {
			return "", err
		}
		fmt.Fprintln(h, id, stamp, filler)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), rows.Err()
}

// source returns a database of about size bytes whose rows all say stamp.
func source(t *testing.T, stamp string, size int) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "new.sqlite3")
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE items (id INTEGER PRIMARY KEY, stamp TEXT NOT NULL, filler BLOB)"); err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO items SELECT i, ?, randomblob(10000) FROM n`, size/10000, stamp)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// open opens a program's pool on a live database.
func open(t *testing.T, path string) (*sql.DB, *driver.Database) {
	t.Helper()
	if err := os.WriteFile(path, source(t, "live", 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	pool, err := sql.Open(driver.Name, "file:"+path+"?_journal=WAL&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	if err := pool.Ping(); err != nil {
		t.Fatal(err)
	}
	db, ok := driver.Lookup(path)
	if !ok {
		t.Fatal("not managed")
	}
	return pool, db
}
