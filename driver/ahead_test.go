package driver_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/door"
)

const thousand = "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM i WHERE n < 1000) INSERT INTO t SELECT n, n, 'name ' || n FROM i"

// onBoth runs the same on go-sqlite3 and on this driver, with files of their own that have
// a table t of a thousand rows, and compares what was seen. A statement is stepped ahead
// from its third use on: look should use it as often.
func onBoth(t *testing.T, params string, look func(t *testing.T, db *sql.DB, open func() *sql.DB) string) {
	t.Helper()
	var seen [2]string
	for i, name := range []string{"sqlite3", driver.Name} {
		dsn := "file:" + filepath.Join(t.TempDir(), "x.db") + "?_busy_timeout=0&_sync=0&" + params
		open := func() *sql.DB {
			db, err := sql.Open(name, dsn)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			return db
		}
		db := open()
		mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, name TEXT)")
		mustExec(t, db, thousand)
		seen[i] = look(t, db, open)
	}
	if seen[0] != seen[1] {
		t.Errorf("go-sqlite3:\n%s\nthis driver:\n%s", seen[0], seen[1])
	}
}

// read reads up to n rows of one column, and says what there was.
func read(rows *sql.Rows, n int) string {
	defer rows.Close()
	var sum strings.Builder
	for i := 0; i < n && rows.Next(); i++ {
		var v any
		if err := rows.Scan(&v); err != nil {
			return err.Error()
		}
		sum.WriteString(fmt.Sprintf("%v ", v))
	}
	return sum.String() + fmt.Sprint(rows.Err())
}

func query(t *testing.T, q interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, text string, args ...any) *sql.Rows {
	t.Helper()
	rows, err := q.QueryContext(t.Context(), text, args...)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestWhatIsReadAheadDoesNotShow(t *testing.T) {
	t.Parallel()
	const all = "SELECT id FROM t"
	for name, look := range map[string]func(t *testing.T, db *sql.DB, open func() *sql.DB) string{
		"rows that their reader deletes, in a transaction": func(t *testing.T, db *sql.DB, _ func() *sql.DB) (seen string) {
			for range 4 {
				tx, err := db.Begin()
				if err != nil {
					t.Fatal(err)
				}
				rows := query(t, tx, all)
				for rows.Next() {
					var id int
					rows.Scan(&id)
					seen += fmt.Sprint(id, " ")
					tx.Exec("DELETE FROM t WHERE id BETWEEN ? AND ?", id, id+2)
				}
				tx.Rollback()
			}
			return seen
		},
		"on a connection of the reader's own": func(t *testing.T, db *sql.DB, _ func() *sql.DB) (seen string) {
			c, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			for range 4 {
				rows := query(t, c, all)
				for rows.Next() {
					var id int
					rows.Scan(&id)
					seen += fmt.Sprint(id, " ")
					c.ExecContext(t.Context(), "DELETE FROM t WHERE id BETWEEN ? AND ?", id, id+2)
				}
				mustExec(t, c, thousand)
			}
			return seen
		},
		"a row after which the search goes on for ever": func(t *testing.T, db *sql.DB, _ func() *sql.DB) (seen string) {
			for range 4 {
				seen += read(query(t, db, "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM i) SELECT n FROM i WHERE n <= 40"), 40)
			}
			return seen
		},
		"an error after rows": func(t *testing.T, db *sql.DB, _ func() *sql.DB) (seen string) {
			mustExec(t, db, "UPDATE t SET n = -9223372036854775808 WHERE id = 300")
			for range 4 {
				rows := query(t, db, "SELECT abs(n) FROM t")
				seen += read(rows, 2000)
				var se sqlite3.Error
				if errors.As(rows.Err(), &se) {
					seen += fmt.Sprint(se.Code, se.ExtendedCode)
				}
			}
			return seen
		},
		"a view that another one took the place of": func(t *testing.T, db *sql.DB, open func() *sql.DB) (seen string) {
			other := open()
			mustExec(t, db, "CREATE VIEW v AS SELECT n FROM t")
			for i := range 8 {
				seen += read(query(t, db, "SELECT n FROM v"), 40)
				if i == 4 {
					mustExec(t, other, "DROP VIEW v")
					mustExec(t, other, "CREATE VIEW v AS WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM i) SELECT n FROM i WHERE n <= 40")
				}
			}
			return seen
		},
		"a schema that has changed": func(t *testing.T, db *sql.DB, open func() *sql.DB) (seen string) {
			other := open()
			for i := range 8 {
				seen += read(query(t, db, "SELECT name FROM t WHERE n > 20 ORDER BY n"), 2000)
				if i == 3 {
					mustExec(t, other, "CREATE INDEX tn ON t (n)")
				}
				if i == 5 {
					mustExec(t, other, "DROP INDEX tn")
				}
			}
			return seen
		},
		"a context that ends between rows": func(t *testing.T, db *sql.DB, _ func() *sql.DB) (seen string) {
			for range 4 {
				ctx, cancel := context.WithCancel(t.Context())
				rows, err := db.QueryContext(ctx, all)
				if err != nil {
					t.Fatal(err)
				}
				for n := 0; rows.Next(); n++ {
					if n == 500 {
						cancel()
						<-ctx.Done()
						break
					}
				}
				for rows.Next() { // database/sql closes them
				}
				seen += fmt.Sprint(rows.Err())
				cancel()
			}
			return seen
		},
		"parameters": func(t *testing.T, db *sql.DB, _ func() *sql.DB) (seen string) {
			stmt, err := db.Prepare("SELECT name FROM t WHERE id > :from AND id < :to LIMIT 70")
			if err != nil {
				t.Fatal(err)
			}
			for i := range 6 {
				rows, err := stmt.Query(sql.Named("to", 900), sql.Named("from", 100*i))
				if err != nil {
					t.Fatal(err)
				}
				seen += read(rows, 1000)
			}
			return seen
		},
	} {
		for _, params := range []string{"_journal=WAL", "_journal=DELETE&_mutex=no"} {
			t.Run(name+", "+params, func(t *testing.T) { onBoth(t, params, look) })
		}
	}
}

// TestRowsKeepTheirTransactionToTheEnd: also when the statement has been stepped to its
// end before the reader is there.
func TestRowsKeepTheirTransactionToTheEnd(t *testing.T) {
	for params, blocked := range map[string]string{
		"_journal=WAL":    "PRAGMA wal_checkpoint(TRUNCATE)",
		"_journal=DELETE": "UPDATE t SET n = n + 1 WHERE id = 1",
	} {
		onBoth(t, params, func(t *testing.T, db *sql.DB, open func() *sql.DB) (seen string) {
			other := open()
			for range 4 {
				if params == "_journal=WAL" {
					mustExec(t, other, "UPDATE t SET n = n + 1 WHERE id = 1")
				}
				rows := query(t, db, "SELECT name FROM t")
				for i := 0; rows.Next(); i++ {
					if i == 1 && params == "_journal=WAL" {
						mustExec(t, other, "UPDATE t SET n = n + 1 WHERE id = 1")
					}
					if i%90 == 9 || i > 990 {
						seen += blockedBy(other, blocked)
					}
				}
				seen += " end: " + blockedBy(other, blocked) + "\n"
			}
			return seen
		})
	}
}

func blockedBy(db *sql.DB, text string) string {
	rows, err := db.Query(text)
	if err != nil {
		return err.Error()
	}
	defer rows.Close()
	var seen strings.Builder
	for rows.Next() {
		var busy, log, done int
		rows.Scan(&busy, &log, &done)
		seen.WriteString(fmt.Sprint(busy))
	}
	return fmt.Sprint(seen.String(), rows.Err(), "; ")
}

// TestAFunctionIsCalledForRowsThatAreRead compares what a program's own function is
// called for when its reader ends early.
func TestAFunctionIsCalledForRowsThatAreRead(t *testing.T) {
	t.Parallel()
	var calls []int
	hook := func(c *sqlite3.SQLiteConn) error {
		return c.RegisterFunc("abs", func(n int) int { calls = append(calls, n); return n }, true)
	}
	var seen [2]string
	for i, d := range []sqldriver.Driver{&sqlite3.SQLiteDriver{ConnectHook: hook}, driver.New(driver.WithConnectHook(hook))} {
		name := fmt.Sprint("noted-", i)
		sql.Register(name, d)
		db, err := sql.Open(name, filepath.Join(t.TempDir(), "x.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		mustExec(t, db, "CREATE TABLE t (id INTEGER PRIMARY KEY)")
		mustExec(t, db, "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM i WHERE n < 1000) INSERT INTO t SELECT n FROM i")
		for range 4 {
			read(query(t, db, "SELECT abs(id) FROM t"), 100)
		}
		seen[i], calls = fmt.Sprint(calls), nil
	}
	if seen[0] != seen[1] {
		t.Errorf("go-sqlite3: %s\nthis driver: %s", seen[0], seen[1])
	}
}

// TestAFreezeTakesRowsThatAreAhead: it waits for them, and a forced one takes them, with
// the statement that keeps their transaction. If that were left, so would be the file.
func TestAFreezeTakesRowsThatAreAhead(t *testing.T) {
	t.Parallel()
	db, d := open(t, "", 1000)
	for range 3 {
		read(query(t, db, "SELECT id FROM t"), 2000)
	}
	for range 3 {
		rows := query(t, db, "SELECT id FROM t")
		for range 500 {
			rows.Next()
		}
		frozen, err := d.Freeze(t.Context(), driver.FreezeOptions{Timeout: 10 * time.Millisecond})
		if err == nil {
			frozen.Thaw()
			t.Fatal("a freeze did not wait for open Rows")
		}
		if frozen, err = d.Freeze(t.Context(), driver.FreezeOptions{Timeout: 10 * time.Millisecond, Force: true}); err != nil {
			t.Fatal(err)
		}
		if open := door.Open(d.Path()); len(open) > 0 {
			t.Errorf("open in the freeze: %v", open)
		}
		if rows.Next() || !errors.Is(rows.Err(), driver.ErrForced) {
			t.Error(rows.Err())
		}
		rows.Close()
		frozen.Thaw()
		read(query(t, db, "SELECT id FROM t"), 2000)
		read(query(t, db, "SELECT id FROM t"), 2000)
	}
}
