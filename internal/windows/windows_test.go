//go:build windows

package windows

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/sockserver"
	"hotswap/swapper"
)

func open(t *testing.T, name string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver.Name, name)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func mustExec(t *testing.T, db interface {
	Exec(string, ...any) (sql.Result, error)
}, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// TestADatabasePassesThrough: by a plain name, a file: URI, and in memory; through
// statements, prepared or not, transactions, and calls whose context ends.
func TestADatabasePassesThrough(t *testing.T) {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "app.db")
	// Not t.TempDir, which removes in a way that older versions of Wine lack. What is
	// still open can't be removed. Under Wine the last connection leaves the sidecars,
	// the plain go-sqlite3's, too.
	t.Cleanup(func() {
		for _, sidecar := range []string{path + "-wal", path + "-shm"} {
			if err := os.Remove(sidecar); err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Error(err)
			}
		}
		if err := errors.Join(os.Remove(path), os.Remove(dir)); err != nil {
			left, _ := os.ReadDir(dir)
			t.Errorf("%v: %v", err, left)
		}
	})
	for _, name := range []string{path, "file:" + filepath.ToSlash(path) + "?_journal=WAL&_txlock=immediate", ":memory:"} {
		db := open(t, name)
		db.SetMaxOpenConns(1)
		mustExec(t, db, "CREATE TABLE IF NOT EXISTS item (name TEXT)")
		mustExec(t, db, "DELETE FROM item")
		insert, err := db.Prepare("INSERT INTO item VALUES (?)")
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"tea", "cups"} {
			if _, err := insert.Exec(word); err != nil {
				t.Fatal(err)
			}
		}
		tx, err := db.Begin()
		if err != nil {
			t.Fatal(err)
		}
		mustExec(t, tx, "DELETE FROM item")
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		var items string
		if err := db.QueryRow("SELECT group_concat(name) FROM item").Scan(&items); err != nil || items != "tea,cups" {
			t.Errorf("%s: %q (%v)", name, items, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err = db.ExecContext(ctx, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) && (err == nil || !strings.Contains(err.Error(), "interrupted")) {
			t.Errorf("%s: an endless query ends with %v", name, err)
		}
		if err := db.Ping(); err != nil {
			t.Errorf("%s: after it: %v", name, err)
		}
		if err := errors.Join(insert.Close(), db.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if all := driver.Databases(); len(all) != 0 {
		t.Errorf("managed: %v", all)
	}
	if _, ok := driver.Lookup(path); ok {
		t.Error("it is managed")
	}
}

// TestASwapSaysThatItIsNotSupported, wherever one may be asked for.
func TestASwapSaysThatItIsNotSupported(t *testing.T) {
	_, _, manage := driver.Manage("app.db")
	_, push := swapper.Push(t.Context(), nil, strings.NewReader(""), swapper.PushOptions{})
	_, pull := swapper.Pull(t.Context(), nil, nil, swapper.PullOptions{})
	_, start := sockserver.Start(sockserver.Config{})
	client := sockserver.NewClient(sockserver.ClientConfig{})
	defer client.Close()
	_, command := client.Databases(t.Context(), "")
	for what, err := range map[string]error{"driver.Manage": manage, "swapper.Push": push, "swapper.Pull": pull, "sockserver.Start": start, "a client": command} {
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "not supported on Windows: ") {
			t.Errorf("%s: %v", what, err)
		}
		t.Log(err)
	}
}
