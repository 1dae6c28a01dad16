package sqlitefile_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/sqlitefile"
)

func TestABackupIsTheWholeDatabaseAndSaysHowFarItIs(t *testing.T) {
	open := func(name string) *sqlite3.SQLiteConn {
		t.Helper()
		c, err := (&sqlite3.SQLiteDriver{}).Open(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c.(*sqlite3.SQLiteConn)
	}
	src, dst := open("src.db"), open("dst.db")
	if _, err := src.Exec("CREATE TABLE t (v); INSERT INTO t VALUES (zeroblob(100000))", nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var last, total int64
	steps := 0
	err := sqlitefile.Backup(ctx, dst, src, 10, func(done, all int64) {
		if done <= last && done < all {
			t.Errorf("%d pages after %d", done, last)
		}
		last, total = done, all
		steps++
	})
	if err != nil || last != total || steps != int(total+9)/10 {
		t.Errorf("%d of %d pages in %d steps: %v", last, total, steps, err)
	}
	if _, err := dst.Exec("SELECT v FROM t WHERE length(v) = 100000", nil); err != nil {
		t.Error(err)
	}
	cancel()
	if err := sqlitefile.Backup(ctx, dst, src, 10, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
