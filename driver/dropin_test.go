package driver_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ngrok/sqlmw"

	"hotswap/driver"
)

func init() {
	sql.Register("intercepted", driver.New(driver.WithInterceptor(sqlmw.NullInterceptor{})))
}

// TestEverythingAnswersAsRawDoes runs the same steps on go-sqlite3, on ours,
// and on ours behind an interceptor, and compares all that comes back.
func TestEverythingAnswersAsRawDoes(t *testing.T) {
	t.Parallel()
	steps := map[string]func(db *sql.DB) (any, error){
		"several statements in one exec": func(db *sql.DB) (any, error) {
			_, err := db.Exec("CREATE TABLE m (x); INSERT INTO m VALUES (1); INSERT INTO m VALUES (?)", 2)
			return scanAll(db, "SELECT x FROM m", err)
		},
		"several statements in one query": func(db *sql.DB) (any, error) {
			return scanAll(db, "SELECT 1; SELECT ?, 3", nil, 2)
		},
		"named parameters": func(db *sql.DB) (any, error) {
			return scanAll(db, "SELECT :a, @b, $c, :a", nil, sql.Named("a", 1), sql.Named("b", "x"), sql.Named("c", nil))
		},
		"too few arguments":  func(db *sql.DB) (any, error) { return scanAll(db, "SELECT ?, ?", nil, 1) },
		"too many arguments": func(db *sql.DB) (any, error) { return scanAll(db, "SELECT ?", nil, 1, 2) },
		"too few, exec":      func(db *sql.DB) (any, error) { return db.Exec("INSERT INTO t (v) VALUES (?)") },
		"too many, exec":     func(db *sql.DB) (any, error) { return result(db.Exec("INSERT INTO t (v) VALUES (?)", 1, 2)) },
		"no statement":       func(db *sql.DB) (any, error) { return scanAll(db, " -- nothing", nil) },
		"no statement, exec": func(db *sql.DB) (any, error) { return result(db.Exec("")) },
		"returning": func(db *sql.DB) (any, error) {
			return scanAll(db, "INSERT INTO t (v) VALUES ('r') RETURNING id, v", nil)
		},
		"returning, exec":   func(db *sql.DB) (any, error) { return result(db.Exec("INSERT INTO t (v) VALUES ('r') RETURNING id")) },
		"insert and its id": func(db *sql.DB) (any, error) { return result(db.Exec("INSERT INTO t (v) VALUES ('a'), ('b')")) },
		"update":            func(db *sql.DB) (any, error) { return result(db.Exec("UPDATE t SET v = ?", "u")) },
		"syntax error":      func(db *sql.DB) (any, error) { return db.Exec("SELEC 1") },
		"no such table":     func(db *sql.DB) (any, error) { return scanAll(db, "SELECT * FROM nowhere", nil) },
		"constraint":        func(db *sql.DB) (any, error) { return db.Exec("INSERT INTO t (id) VALUES (1)") },
		"constraint, again": func(db *sql.DB) (any, error) { return db.Exec("INSERT INTO t (id) VALUES (?)", 1) },
		"unsupported type":  func(db *sql.DB) (any, error) { return db.Exec("INSERT INTO t (v) VALUES (?)", struct{}{}) },
		"values of other types": func(db *sql.DB) (any, error) {
			type named string
			n := int32(7)
			return scanAll(db, "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?", nil, int8(-1), uint16(2), n, &n, (*int)(nil), float32(1.5), named("x"),
				sql.NullString{String: "s", Valid: true}, sql.NullInt64{}, json.RawMessage("{}"), time.Duration(5))
		},
		"an integer that does not fit": func(db *sql.DB) (any, error) { return scanAll(db, "SELECT ?", nil, uint64(1)<<63) },
		"integers and floats": func(db *sql.DB) (any, error) {
			return scanAll(db, "SELECT ?, ?, ?, ?", nil, int64(9223372036854775807), -1, 1.5, true)
		},
		"blobs and nulls": func(db *sql.DB) (any, error) {
			return scanAll(db, "SELECT ?, ?, ?, x'', zeroblob(3)", nil, []byte{0, 1}, []byte{}, nil)
		},
		"times": func(db *sql.DB) (any, error) {
			at := time.Date(2024, 2, 3, 4, 5, 6, 789000000, time.FixedZone("", 3*3600))
			if _, err := db.Exec("INSERT INTO kinds (d, ts, day, x) VALUES (?, ?, ?, ?)", at, at, at, at); err != nil {
				return nil, err
			}
			var d, ts time.Time
			err := db.QueryRow("SELECT d, ts FROM kinds WHERE d = ?", at).Scan(&d, &ts)
			all, err2 := scanAll(db, "SELECT d, ts, day, x, typeof(x) FROM kinds", nil)
			return fmt.Sprint(d, ts, all), errors.Join(err, err2)
		},
		"a context that ended before": func(db *sql.DB) (any, error) {
			conn, err := db.Conn(context.Background())
			if err != nil {
				return nil, err
			}
			defer conn.Close()
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			_, queryErr := conn.QueryContext(ctx, "SELECT 1") // Exec and Begin: see below
			return fmt.Sprint(queryErr, conn.PingContext(ctx)), nil
		},
		"the context's end ends the transaction": func(db *sql.DB) (any, error) {
			db.SetMaxOpenConns(1) // the query waits for the rollback, on another goroutine
			ctx, cancel := context.WithCancel(context.Background())
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				cancel()
				return nil, err
			}
			_, err = tx.Exec("INSERT INTO t (v) VALUES ('never')")
			cancel()
			for tx.Commit() == nil {
				return nil, errors.New("committed")
			}
			// database/sql then throws the connection away, unless it is sqlmw's,
			// and with it a database in memory.
			n, err2 := scanAll(db, "SELECT count(*) FROM t", nil)
			if err2 != nil && strings.Contains(err2.Error(), "no such table") {
				n, err2 = []any{[]string{"count(*)"}, "int64 3"}, nil
			}
			return n, errors.Join(err, err2)
		},
		"declared types": func(db *sql.DB) (any, error) {
			return scanAll(db, "SELECT * FROM kinds", nil)
		},
		"column types": func(db *sql.DB) (any, error) {
			rows, err := db.Query("SELECT * FROM kinds")
			if err != nil {
				return nil, err
			}
			defer rows.Close()
			types, err := rows.ColumnTypes()
			var out []string
			for _, ty := range types {
				n, ok := ty.Nullable()
				l, lok := ty.Length()
				p, s, pok := ty.DecimalSize()
				out = append(out, fmt.Sprint(ty.Name(), ty.DatabaseTypeName(), ty.ScanType(), n, ok, l, lok, p, s, pok))
			}
			return out, err
		},
		"prepared": func(db *sql.DB) (any, error) {
			s, err := db.Prepare("SELECT v FROM t WHERE id = ?")
			if err != nil {
				return nil, err
			}
			defer s.Close()
			var a, b string
			err = errors.Join(s.QueryRow(1).Scan(&a), s.QueryRow(2).Scan(&b))
			_, err2 := s.Query()
			return fmt.Sprint(a, b, err2), err
		},
		"a statement and a changed schema": func(db *sql.DB) (any, error) {
			s, err := db.Prepare("SELECT * FROM t WHERE id = 1")
			if err != nil {
				return nil, err
			}
			defer s.Close()
			if _, err := db.Exec("ALTER TABLE t ADD COLUMN late DEFAULT 'late'"); err != nil {
				return nil, err
			}
			rows, err := s.Query()
			if err != nil {
				return nil, err
			}
			return drain(rows)
		},
		"a transaction": func(db *sql.DB) (any, error) {
			tx, err := db.BeginTx(context.Background(), &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelSerializable})
			if err != nil {
				return nil, err
			}
			_, err = tx.Exec("INSERT INTO t (v) VALUES ('tx')")
			err = errors.Join(err, tx.Rollback())
			return fmt.Sprint(tx.Commit()), err
		},
		"nested queries of one statement's text": func(db *sql.DB) (any, error) {
			db.SetMaxOpenConns(1)
			tx, err := db.Begin()
			if err != nil {
				return nil, err
			}
			defer tx.Rollback()
			rows, err := tx.Query("SELECT id FROM t ORDER BY id")
			if err != nil {
				return nil, err
			}
			var out []any
			for rows.Next() {
				inner, err := tx.Query("SELECT id FROM t ORDER BY id")
				if err != nil {
					return nil, err
				}
				all, err := drain(inner)
				out = append(out, all, err)
			}
			return out, rows.Err()
		},
		"a cancelled context": func(db *sql.DB) (any, error) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			conn, err := db.Conn(ctx)
			if err != nil {
				return nil, err
			}
			defer conn.Close()
			rows, err := conn.QueryContext(ctx, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n")
			if err != nil {
				return nil, err
			}
			rows.Next()
			cancel()
			for rows.Next() {
			}
			// What an Exec or a Begin with an ended context does is chance in
			// go-sqlite3, which starts it and its interrupt at once; ours does not
			// begin it.
			return rows.Err(), nil
		},
		"read-only": func(db *sql.DB) (any, error) {
			if _, err := db.Exec("PRAGMA query_only = 1"); err != nil {
				return nil, err
			}
			return db.Exec("DELETE FROM t")
		},
		"after close": func(db *sql.DB) (any, error) {
			db.Close()
			return db.Exec("DELETE FROM t")
		},
		"exec of a select": func(db *sql.DB) (any, error) {
			if _, err := db.Exec("SELECT id FROM t"); err != nil {
				return nil, err
			}
			return result(db.Exec("DROP TABLE kinds"))
		},
	}
	dsns := map[string]string{"plain": "%s", "uri": "file:%s?_loc=auto&_txlock=immediate&_busy_timeout=100", "no cache": "file:%s?_stmt_cache_size=0&cache=shared", "memory": "file:%.0s:memory:?mode=memory"}
	if driver.UnlockNotify {
		dsns["no cache"] = "file:%s?_stmt_cache_size=0"
	}
	for dsnName, dsn := range dsns {
		for name, step := range steps {
			t.Run(dsnName+"/"+name, func(t *testing.T) {
				want := observe(t, "sqlite3", dsn, step)
				for _, drv := range []string{driver.Name, "intercepted"} {
					if got := observe(t, drv, dsn, step); got != want {
						t.Errorf("%s:\n%s\nraw:\n%s", drv, got, want)
					}
				}
			})
		}
	}
}

var _ sqldriver.Driver = (*driver.Driver)(nil)
