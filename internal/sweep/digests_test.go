//go:build linux && (amd64 || arm64)

package sweep

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"hotswap/swapper"
)

// pushAgain does what must work whatever was before: a push, after which
// nothing is left of what was interrupted.
func (f *fixture) pushAgain(path string) error {
	// A process that is just being started by another of the sweep's runs has this
	// one's descriptors until its exec, and would be found to have the file open.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	pool, db, err := openPool(path, f.journal)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := pool.Ping(); err != nil {
		return err
	}
	if _, err := swapper.Push(context.Background(), db, bytes.NewReader(f.fresh), swapper.PushOptions{Source: "fresh", Timeout: lockTimeout, SkipSchemaCheck: f.pages > 0}); err != nil {
		return err
	}
	got, err := digest(pool)
	if err != nil || got != f.freshDigest {
		return fmt.Errorf("the database is not the pushed one: %v", err)
	}
	if err := pool.Close(); err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); name != filepath.Base(path) && name != filepath.Base(f.kept(path)) && !(f.aside && strings.Contains(name, ".set-aside-")) && !(f.adopts && strings.Contains(name, "-wal.of-replaced-")) {
			return fmt.Errorf("%s is left", name)
		}
	}
	return nil
}

// digestFile opens a database, checks it and returns its digest.
func digestFile(dsn string) (string, error) {
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return "", err
	}
	defer db.Close()
	var check string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" {
		return "", fmt.Errorf("integrity_check: %s %w", check, err)
	}
	return digest(db)
}

// digest is of the content alone: the schema and every row but those of notes.
func digest(db *sql.DB) (string, error) {
	h := sha256.New()
	indexed, err := has(db, "items_stamp")
	if err != nil {
		return "", err
	}
	for _, query := range []string{
		"SELECT concat_ws('|', type, name, tbl_name, sql) FROM sqlite_schema WHERE name <> 'notes' ORDER BY type, name",
		"SELECT concat_ws('|', id, quote(stamp), quote(filler)) FROM items ORDER BY id",
		"SELECT concat_ws('|', id, stamp) FROM items INDEXED BY items_stamp ORDER BY stamp, id",
		"SELECT concat_ws('|', seq, quote(text)) FROM acks ORDER BY seq",
	} {
		if !indexed && strings.Contains(query, "INDEXED BY") {
			continue
		}
		rows, err := db.Query(query)
		if err != nil {
			return "", err
		}
		for rows.Next() {
			var row string
			if err := rows.Scan(&row); err != nil {
				rows.Close()
				return "", err
			}
			fmt.Fprintln(h, row)
		}
		rows.Close()
		if err := rows.Err(); err != nil {
			return "", err
		}
		fmt.Fprintln(h, "--")
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func has(db *sql.DB, name string) (there bool, err error) {
	return there, db.QueryRow("SELECT count(*) FROM sqlite_schema WHERE name = ?", name).Scan(&there)
}

// describe says what a database that is neither has in it.
func describe(path string) string {
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		return err.Error()
	}
	defer db.Close()
	var items, acks int
	var stamps sql.NullString
	if err := db.QueryRow("SELECT count(*), group_concat(DISTINCT stamp), (SELECT count(*) FROM acks) FROM items").Scan(&items, &stamps, &acks); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d items of %q, %d of %d acknowledged writes", items, stamps.String, acks, ackCount)
}
