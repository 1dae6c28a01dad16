package driver_test

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"
)

func observe(t *testing.T, drv, dsn string, step func(*sql.DB) (any, error)) string {
	t.Helper()
	name := "a b%20c.sqlite3"
	if strings.HasPrefix(dsn, "file:") {
		name = "a b%25%23.sqlite3"
	}
	db, err := sql.Open(drv, fmt.Sprintf(dsn, filepath.Join(t.TempDir(), name)))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if strings.Contains(dsn, "memory") {
		db.SetMaxOpenConns(1)
	}
	mustExec(t, db, `CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t (v) VALUES ('one'), ('two'), ('three');
		CREATE TABLE kinds (i INTEGER, b BOOLEAN, d DATETIME, ts TIMESTAMP, day DATE, r REAL, s VARCHAR(10), bl BLOB, n NUMERIC, x);
		INSERT INTO kinds VALUES (1, 1, '2024-02-03 04:05:06.789', 1700000000, '2024-02-03', 0.1, 'a', x'00ff', 12, 'x')`)
	v, err := step(db)
	var se sqlite3.Error
	errors.As(err, &se)
	return fmt.Sprintf("%#v\nerror %T %v, code %d/%d", v, err, err, se.Code, se.ExtendedCode)
}

func result(r sql.Result, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	id, err1 := r.LastInsertId()
	n, err2 := r.RowsAffected()
	return fmt.Sprint(id, n), errors.Join(err1, err2)
}

func scanAll(db *sql.DB, query string, err error, args ...any) (any, error) {
	if err != nil {
		return nil, err
	}
	rows, err := db.Query(query, args...)
	if err != nil {
		return nil, err
	}
	return drain(rows)
}

func drain(rows *sql.Rows) (any, error) {
	defer rows.Close()
	cols, err := rows.Columns()
	out := []any{cols}
	for rows.Next() {
		vals := make([]any, len(cols))
		for i := range vals {
			vals[i] = &vals[i]
		}
		if err := rows.Scan(vals...); err != nil {
			return nil, err
		}
		for i := range vals {
			out = append(out, fmt.Sprintf("%T %v", vals[i], vals[i]))
		}
	}
	return out, errors.Join(err, rows.Err())
}
