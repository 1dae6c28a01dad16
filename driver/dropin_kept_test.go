package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

// TestStatementsThatAreKeptAnswerAsNewOnesDo runs what a cached statement, or a BEGIN
// that was compiled long ago, might answer differently.
func TestStatementsThatAreKeptAnswerAsNewOnesDo(t *testing.T) {
	t.Parallel()
	steps := map[string]func(db *sql.DB) (any, error){
		"a second semicolon": func(db *sql.DB) (any, error) {
			var all []any
			for range 3 {
				rows, err := scanAll(db, "SELECT id FROM t; ;", nil)
				res, err2 := result(db.Exec("INSERT INTO t (v) VALUES (?);;", "x"))
				all = append(all, rows, err, res, err2)
			}
			return all, nil
		},
		"column names that the program wrote to": func(db *sql.DB) (any, error) {
			var all []any
			for range 3 {
				rows, err := db.Query("SELECT id, v FROM t")
				if err != nil {
					return nil, err
				}
				cols, err := rows.Columns()
				all = append(all, fmt.Sprint(cols, err))
				cols[0] = "mine"
				rows.Close()
			}
			return all, nil
		},
		"writes that return the count of their changes": func(db *sql.DB) (any, error) {
			conn, err := db.Conn(context.Background())
			if err != nil {
				return nil, err
			}
			defer conn.Close()
			if _, err := conn.ExecContext(context.Background(), "PRAGMA count_changes = 1"); err != nil {
				return nil, err
			}
			for range 3 {
				if _, err := conn.ExecContext(context.Background(), "UPDATE t SET v = v || 'x'"); err != nil {
					return nil, err
				}
			}
			return scanAll(db, "SELECT v FROM t", nil) // on another connection: is all of it committed?
		},
		"a pragma that was prepared and not run": func(db *sql.DB) (any, error) {
			db.SetMaxOpenConns(1)
			var all []any
			for _, pragma := range []string{"cache_size = 5", "count_changes = 1", "foreign_keys"} {
				stmt, err := db.Prepare("PRAGMA " + pragma)
				if err != nil {
					return nil, err
				}
				stmt.Close()
				for range 2 {
					rows, err := scanAll(db, "DELETE FROM t WHERE id = 7", nil)
					all = append(all, rows, err)
				}
			}
			return all, nil
		},
		"the lock of a write that is no longer valid": func(db *sql.DB) (any, error) {
			ctx := context.Background()
			conn, err := db.Conn(ctx)
			if err != nil {
				return nil, err
			}
			defer conn.Close()
			for range 2 {
				if _, err := conn.ExecContext(ctx, "UPDATE t SET v = 'x'"); err != nil {
					return nil, err
				}
			}
			rows, err := conn.QueryContext(ctx, "VALUES (1), (2)")
			if err != nil {
				return nil, err
			}
			defer rows.Close()
			_, err = conn.ExecContext(ctx, "ALTER TABLE t RENAME COLUMN v TO w")
			_, err2 := conn.ExecContext(ctx, "UPDATE t SET v = 'x'")
			if err := rows.Close(); err != nil {
				return nil, err
			}
			_, err3 := db.Exec("UPDATE t SET w = 'y'") // on another connection
			return fmt.Sprint(err, err2, err3), nil
		},
		"the lock on a file that was attached after a first BEGIN": func(db *sql.DB) (any, error) {
			db.SetMaxOpenConns(1)
			side := filepath.Join(t.TempDir(), "side.sqlite3")
			for range 2 {
				tx, err := db.Begin()
				if err != nil {
					return nil, err
				}
				defer tx.Rollback()
				other, err := sql.Open("sqlite3", "file:"+side+"?_busy_timeout=0")
				if err != nil {
					return nil, err
				}
				defer other.Close()
				if _, err = other.Exec("CREATE TABLE IF NOT EXISTS s (x); INSERT INTO s VALUES (1)"); err != nil {
					return "locked", err
				}
				if err := tx.Rollback(); err != nil {
					return nil, err
				}
				if _, err := db.Exec("ATTACH ? AS side", side); err != nil && err.Error() != "database side is already in use" {
					return nil, err
				}
			}
			return "free", nil
		},
	}
	for _, dsn := range []string{"file:%s?_busy_timeout=0", "file:%s?_journal=WAL&_txlock=immediate&_busy_timeout=0", "file:%s?_stmt_cache_size=0"} {
		for name, step := range steps {
			t.Run(dsn+"/"+name, func(t *testing.T) {
				want := observe(t, "sqlite3", dsn, step)
				if got := observe(t, driver.Name, dsn, step); got != want {
					t.Errorf("%s\nraw:\n%s", got, want)
				}
			})
		}
	}
}

// TestAWriteThatFailsWhenItsRowsAreClosed: it is committed then, and only the error
// says that it was not.
func TestAWriteThatFailsWhenItsRowsAreClosed(t *testing.T) {
	for _, params := range []string{"", "&_stmt_cache_size=0", "&_stmt_cache_size=8"} {
		db, _ := open(t, "&_fk=1"+params, 2)
		mustExec(t, db, "CREATE TABLE child (t_id REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED); INSERT INTO child VALUES (1)")
		for range 3 {
			rows, err := db.Query("DELETE FROM t RETURNING id")
			if err != nil {
				t.Fatal(err)
			}
			rows.Next()
			var se sqlite3.Error
			if err := rows.Close(); !errors.As(err, &se) || se.ExtendedCode != sqlite3.ErrConstraintForeignKey {
				t.Errorf("%s: %v", params, err)
			}
		}
	}
}

// TestAContextThatEndedKeepsItsCallFromBeginning covers the calls for which go-sqlite3
// leaves that to chance.
func TestAContextThatEndedKeepsItsCallFromBeginning(t *testing.T) {
	db, d := open(t, "", 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	conn := connect(t, db)
	stmt, err := conn.PrepareContext(context.Background(), "DELETE FROM t")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	_, execErr := conn.ExecContext(ctx, "DELETE FROM t")
	_, stmtErr := stmt.ExecContext(ctx)
	_, beginErr := conn.BeginTx(ctx, nil)
	if execErr != context.Canceled || stmtErr != context.Canceled || beginErr != context.Canceled {
		t.Error(execErr, stmtErr, beginErr)
	}
	var n int
	if err := conn.QueryRowContext(context.Background(), "SELECT count(*) FROM t").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
	mustExec(t, conn, "DROP TABLE t")
	swap(t, d)
	mustExec(t, conn, "SELECT 1")
	if _, err := stmt.QueryContext(ctx); err != context.Canceled {
		t.Errorf("a statement that can't be prepared again: %v", err)
	}
}
