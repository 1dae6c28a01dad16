package drivers

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
)

const (
	rowsInTable = 10000
	selectName  = "SELECT name FROM t WHERE id = ?"
	update      = "UPDATE t SET n = ? WHERE id = ?"
)

// call prepares one kind of call, and returns it. A program calls zombiezen's by its own
// API, in the quickest way that it has.
type call struct {
	name      string
	pool      func(testing.TB, *sql.DB) func(i int) error
	zombiezen func(testing.TB, *sqlite.Conn) func(i int) error
}

var calls = []call{
	{"query-row", func(_ testing.TB, db *sql.DB) func(int) error {
		var name string
		return func(i int) error { return db.QueryRow(selectName, i%rowsInTable+1).Scan(&name) }
	}, func(_ testing.TB, conn *sqlite.Conn) func(int) error {
		return func(i int) error {
			stmt, err := conn.Prepare(selectName) // from its cache
			if err != nil {
				return err
			}
			return readName(stmt, i)
		}
	}},
	{"query-row-prepared", func(tb testing.TB, db *sql.DB) func(int) error {
		stmt, err := db.Prepare(selectName)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { stmt.Close() })
		var name string
		return func(i int) error { return stmt.QueryRow(i%rowsInTable + 1).Scan(&name) }
	}, func(_ testing.TB, conn *sqlite.Conn) func(int) error {
		stmt := conn.Prep(selectName)
		return func(i int) error { return readName(stmt, i) }
	}},
	{"exec", func(_ testing.TB, db *sql.DB) func(int) error {
		return func(i int) error {
			_, err := db.Exec(update, i, i%rowsInTable+1)
			return err
		}
	}, func(_ testing.TB, conn *sqlite.Conn) func(int) error {
		return func(i int) error { return updateOne(conn, i) }
	}},
	{"tx", func(_ testing.TB, db *sql.DB) func(int) error {
		return func(i int) error { return updateInTx(db, i) }
	}, func(_ testing.TB, conn *sqlite.Conn) func(int) error {
		return func(i int) error { return between(conn, "BEGIN", i) }
	}},
	scan("scan-1000", "SELECT id, name, n FROM t LIMIT 1000", "isi", 1000),
	scan("scan-1000-of-5", "SELECT id, name, n, price, at FROM wide LIMIT 1000", "isift", 1000),
	scan("scan-1000-of-1", "SELECT n FROM t LIMIT 1000", "i", 1000),
	scan("scan-100-of-30", "SELECT "+strings.Repeat("id, name, n, ", 9)+"id, name, n FROM t LIMIT 100", strings.Repeat("isi", 10), 100),
	scan("scan-1000-raw", "SELECT id, name, n FROM t LIMIT 1000", "rrr", 1000),
	scan("blob-1MB", "SELECT body FROM blobs WHERE id = 1", "b", 1),
}

var schema = []string{
	"CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, n INTEGER NOT NULL)",
	"CREATE TABLE wide (id INTEGER PRIMARY KEY, name TEXT NOT NULL, n INTEGER NOT NULL, price REAL, at DATETIME)",
	"CREATE TABLE blobs (id INTEGER PRIMARY KEY, body BLOB)",
	"INSERT INTO blobs (body) VALUES (randomblob(1000000))",
	fmt.Sprintf("WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM i WHERE n < %d) INSERT INTO t SELECT n, 'name ' || n, n FROM i", rowsInTable),
	"INSERT INTO wide SELECT id, name, n, n / 7.0, datetime(1700000000 + n, 'unixepoch') FROM t",
}

func readName(stmt *sqlite.Stmt, i int) error {
	stmt.BindInt64(1, int64(i%rowsInTable+1))
	n := 0
	found, err := stmt.Step()
	if found {
		n++
		_ = stmt.ColumnText(0)
	}
	return allRows(n, 1, errors.Join(err, stmt.Reset()))
}

func updateOne(conn *sqlite.Conn, i int) error {
	stmt, err := conn.Prepare(update)
	if err != nil {
		return err
	}
	stmt.BindInt64(1, int64(i))
	stmt.BindInt64(2, int64(i%rowsInTable+1))
	return step(stmt)
}

// step executes a statement that has no rows.
func step(stmt *sqlite.Stmt) error {
	if _, err := stmt.Step(); err != nil {
		stmt.Reset()
		return err
	}
	return stmt.Reset()
}

// between updates in a transaction that starts with begin.
func between(conn *sqlite.Conn, begin string, i int) error {
	if err := step(conn.Prep(begin)); err != nil {
		return err
	}
	if err := updateOne(conn, i); err != nil {
		step(conn.Prep("ROLLBACK"))
		return err
	}
	return step(conn.Prep("COMMIT"))
}

func updateInTx(db *sql.DB, i int) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.Exec(update, i, i%rowsInTable+1); err != nil {
		return err
	}
	return tx.Commit()
}

// scan reads all rows of a query into the same places. The kinds of its columns are integer,
// string, float, time, blob and raw bytes.
func scan(name, query, kinds string, want int) call {
	return call{name, func(_ testing.TB, db *sql.DB) func(int) error {
		dest := places(kinds)
		return func(int) error {
			rows, err := db.Query(query)
			if err != nil {
				return err
			}
			defer rows.Close()
			n := 0
			for ; rows.Next(); n++ {
				if err := rows.Scan(dest...); err != nil {
					return err
				}
			}
			return allRows(n, want, rows.Err())
		}
	}, func(_ testing.TB, conn *sqlite.Conn) func(int) error {
		dest := places(kinds)
		return func(int) error {
			stmt, err := conn.Prepare(query)
			if err != nil {
				return err
			}
			for n := 0; ; n++ {
				if more, err := stmt.Step(); err != nil || !more {
					return allRows(n, want, errors.Join(err, stmt.Reset()))
				}
				if err := readColumns(stmt, dest); err != nil {
					return err
				}
			}
		}
	}}
}

// allRows is an error if there were others than wanted.
func allRows(n, want int, err error) error {
	if err == nil && n != want {
		return fmt.Errorf("%d rows, not %d", n, want)
	}
	return err
}

func places(kinds string) []any {
	var dest []any
	for _, kind := range kinds {
		dest = append(dest, map[rune]any{
			'i': new(int64), 's': new(string), 'f': new(float64),
			't': new(time.Time), 'b': new([]byte), 'r': new(sql.RawBytes),
		}[kind])
	}
	return dest
}

// readColumns is Rows.Scan by zombiezen's API, which has no times.
func readColumns(stmt *sqlite.Stmt, dest []any) (err error) {
	for i, d := range dest {
		switch d := d.(type) {
		case *int64:
			*d = stmt.ColumnInt64(i)
		case *string:
			*d = stmt.ColumnText(i)
		case *float64:
			*d = stmt.ColumnFloat(i)
		case *time.Time:
			if *d, err = time.Parse(time.DateTime, stmt.ColumnText(i)); err != nil {
				return err
			}
		case *[]byte:
			*d = make([]byte, stmt.ColumnLen(i))
			stmt.ColumnBytes(i, *d)
		case *sql.RawBytes:
			length := stmt.ColumnLen(i)
			if cap(*d) < length {
				*d = make([]byte, length)
			}
			*d = (*d)[:length]
			stmt.ColumnBytes(i, *d)
		}
	}
	return nil
}
