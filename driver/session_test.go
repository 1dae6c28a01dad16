package driver_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/sqltext"
)

// swap freezes and thaws, so that every connection reopens.
func swap(t *testing.T, d *driver.Database) {
	t.Helper()
	f := mustFreeze(t, d, driver.FreezeOptions{})
	f.Replaced()
	f.Thaw()
}

func TestWhatTheSessionWasToldIsToldAgain(t *testing.T) {
	db, d := open(t, "", 1)
	ctx := context.Background()
	conn := connect(t, db)
	side := filepath.Join(t.TempDir(), "side.sqlite3")
	mustExec(t, conn, "PRAGMA cache_size=111; PRAGMA foreign_keys(1)")
	mustExec(t, conn, "ATTACH DATABASE ? AS side", side)
	mustExec(t, conn, "ATTACH ':memory:' AS gone; -- and\n DETACH gone")
	mustExec(t, conn, "CREATE TABLE side.s (x); PRAGMA side.cache_size = 222")
	mustExec(t, conn, "/* again */ PRAGMA main . cache_size = 333")
	mustExec(t, conn, "PRAGMA user_version = 7") // of the file: must not be replayed
	stmt, err := conn.PrepareContext(ctx, "PRAGMA recursive_triggers = 1")
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, execStmt{stmt}, "")
	stmt.Close()
	if rows, err := conn.QueryContext(ctx, "PRAGMA busy_timeout = 1234"); err != nil {
		t.Fatal(err)
	} else {
		rows.Close()
	}
	other, _ := sql.Open("sqlite3", d.Path())
	defer other.Close()
	f := mustFreeze(t, d, driver.FreezeOptions{})
	mustExec(t, other, "PRAGMA user_version = 8")
	f.Thaw()
	for pragma, want := range map[string]int{
		"cache_size": 333, "foreign_keys": 1, "side.cache_size": 222, "recursive_triggers": 1, "busy_timeout": 1234, "user_version": 8,
	} {
		var got int
		if err := conn.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %d, %v; want %d", pragma, got, err, want)
		}
	}
	mustExec(t, conn, "INSERT INTO side.s VALUES (1)")
}

type execStmt struct{ *sql.Stmt }

func (s execStmt) ExecContext(ctx context.Context, _ string, args ...any) (sql.Result, error) {
	return s.Stmt.ExecContext(ctx, args...)
}

func TestTheConnectHookRunsOnEveryReopen(t *testing.T) {
	runs := 0
	name := register(t, driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		runs++
		return c.RegisterFunc("twice", func(n int64) int64 { return 2 * n }, true)
	}))
	db, err := sql.Open(name, filepath.Join(t.TempDir(), "x.sqlite3"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for i := range 3 {
		var n int
		if err := db.QueryRow("SELECT twice(21)").Scan(&n); err != nil || n != 42 || runs != i+1 {
			t.Errorf("%d, %v, after %d runs", n, err, runs)
		}
		swap(t, driver.Databases()[0])
	}
}

func TestAJournalModeOfTheFileIsNoSetting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sqlite3")
	db, err := sql.Open(driver.Name, path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	d, _ := driver.Lookup(path)
	db.SetMaxOpenConns(1)
	mustExec(t, db, "CREATE TABLE t (x)")
	mustExec(t, db, "PRAGMA journal_mode = MEMORY")
	mustExec(t, db, "PRAGMA cache_size = 99")
	swap(t, d)
	var mode string
	if err := db.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil || mode != "memory" {
		t.Errorf("journal mode %s, %v", mode, err)
	}
	mustExec(t, db, "PRAGMA journal_mode = DELETE") // which undoes that
	swap(t, d)
	if err := db.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil || mode != "delete" {
		t.Errorf("journal mode %s, %v", mode, err)
	}
	mustExec(t, db, "PRAGMA journal_mode = MEMORY")
	// Somebody made it a WAL database: replaying MEMORY would convert it back.
	f := mustFreeze(t, d, driver.FreezeOptions{})
	other, _ := sql.Open("sqlite3", d.Path())
	mustExec(t, other, "PRAGMA journal_mode = WAL")
	other.Close()
	f.Thaw()
	if err := db.QueryRow("PRAGMA journal_mode").Scan(&mode); err != nil || mode == "memory" {
		t.Errorf("journal mode %s, %v", mode, err)
	}
}

// TestTheSessionIsAsItWas, and not as the texts say that it should be: some do nothing
// within a transaction, some fail in their second statement, and some pragmas act when
// they are only prepared.
func TestTheSessionIsAsItWas(t *testing.T) {
	side := filepath.Join(t.TempDir(), "side.sqlite3")
	ctx := context.Background()
	for _, texts := range [][]string{
		{"PRAGMA foreign_keys = 1", "BEGIN", "PRAGMA foreign_keys = 0", "COMMIT"},
		{"PRAGMA foreign_keys = on; BEGIN; PRAGMA main.foreign_keys(off); COMMIT"},
		{"PRAGMA foreign_keys = 1", "PRAGMA foreign_keys = 0"},
		{"BEGIN IMMEDIATE", "INSERT INTO t VALUES (1)", "PRAGMA journal_mode = MEMORY", "COMMIT"},
		{"PRAGMA journal_mode = MEMORY", "PRAGMA journal_mode = DELETE"},
		{"PRAGMA journal_mode = MEMORY; SELECT * FROM nowhere"},
		{"PRAGMA foreign_keys = 1; PRAGMA cache_size = -77; SELECT * FROM nowhere; PRAGMA recursive_triggers = 1"},
		{"PRAGMA case_sensitive_like = 1; SELECT * FROM nowhere"},
		{"PRAGMA case_sensitive_like = 1", "EXPLAIN PRAGMA case_sensitive_like = 0"},
		{"ATTACH '" + side + "' AS Side; PRAGMA side.cache_size = 44; SELECT * FROM nowhere"},
		{"ATTACH '" + side + "' AS side", "DETACH side; SELECT * FROM nowhere; ATTACH '" + side + "' AS other"},
		{"EXPLAIN PRAGMA recursive_triggers = 1", "EXPLAIN QUERY PLAN PRAGMA cache_size = 55"},
		{"prepare", "PRAGMA recursive_triggers = 1", "PRAGMA cache_size = 55", "PRAGMA journal_mode = MEMORY", "ATTACH '" + side + "' AS side"},
	} {
		path := filepath.Join(t.TempDir(), "x.sqlite3")
		db, err := sql.Open(driver.Name, path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		mustExec(t, db, "CREATE TABLE t (x)")
		conn := connect(t, db)
		for _, text := range texts {
			if texts[0] == "prepare" {
				if stmt, err := conn.PrepareContext(ctx, text); err == nil {
					stmt.Close()
				}
			} else {
				conn.ExecContext(ctx, text)
			}
		}
		state := func() (all []any) {
			for _, query := range []string{"PRAGMA foreign_keys", "PRAGMA recursive_triggers", "PRAGMA cache_size", "PRAGMA side.cache_size", "PRAGMA journal_mode", "PRAGMA database_list", "SELECT 'a' LIKE 'A'"} {
				rows, err := conn.QueryContext(ctx, query)
				if err != nil {
					all = append(all, err)
					continue
				}
				values, err := drain(rows)
				all = append(all, values, err)
			}
			return all
		}
		before := fmt.Sprint(state())
		d, _ := driver.Lookup(path)
		swap(t, d)
		if after := fmt.Sprint(state()); after != before {
			t.Errorf("%q: after a swap\n%s\nbefore\n%s", texts, after, before)
		}
	}
}

// TestAPragmaThatIsOnlyPreparedHasActed, for most, or one behind EXPLAIN: SQLite sets them
// as it compiles them. After a swap each is as it was.
func TestAPragmaThatIsOnlyPreparedHasActed(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db, d := open(t, "", 1)
	var names []string
	rows, err := db.Query("SELECT name FROM pragma_pragma_list")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if sqltext.SessionPragma(name) {
			names = append(names, name)
		}
	}
	db.SetMaxIdleConns(-1)
	acted := 0
	for _, name := range names {
		for _, text := range []string{"PRAGMA %s = 0", "PRAGMA %s = 1", "PRAGMA %s(2)", "PRAGMA main.%s = 1000", "EXPLAIN PRAGMA %s = 1", "EXPLAIN PRAGMA %s = 0"} {
			conn, err := db.Conn(ctx)
			if err != nil {
				t.Fatal(err)
			}
			state := func() string {
				var like, value any
				if err := conn.QueryRowContext(ctx, "SELECT 'a' LIKE 'A'").Scan(&like); err != nil {
					t.Error(err)
				}
				err := conn.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value)
				return fmt.Sprint(like, value, err)
			}
			text := fmt.Sprintf(text, name)
			fresh := state()
			stmt, err := conn.PrepareContext(ctx, text)
			if err != nil {
				t.Fatal(text, err)
			}
			stmt.Close()
			before := state()
			if before != fresh {
				acted++
			}
			swap(t, d)
			if after := state(); after != before {
				t.Errorf("%s, prepared: after a swap %s, before %s", text, after, before)
			}
			conn.Close()
		}
	}
	if acted < len(names) {
		t.Errorf("only %d of the settings of %d pragmas acted", acted, len(names))
	}
}
