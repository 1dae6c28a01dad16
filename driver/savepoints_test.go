package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"

	"hotswap/driver"
)

// TestTheEndOfALostTransactionEndsTheLoss: what a program sends to end or repeat a
// transaction begun by SQL text works again, and whatever belongs in its midst fails
// rather than be committed by itself. Each step is a text and what is expected of it:
// "!" for ErrForced.
func TestTheEndOfALostTransactionEndsTheLoss(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ begins, steps, rows string }{
		{"SAVEPOINT a", "INSERT!, RELEASE a!, INSERT", "new"},
		{"SAVEPOINT a", "RELEASE SAVEPOINT A!, SAVEPOINT a, INSERT, RELEASE a", "new"},
		{"SAVEPOINT a", "ROLLBACK TO a, INSERT, RELEASE a", "new"},
		{"SAVEPOINT a", "INSERT!, ROLLBACK TRANSACTION TO SAVEPOINT a, RELEASE a, SAVEPOINT b, INSERT, RELEASE b", "new"},
		{"SAVEPOINT a", "ROLLBACK TO a, INSERT, ROLLBACK", ""},
		{"SAVEPOINT a", "ROLLBACK TO a; RELEASE a, INSERT", "new"},
		{"SAVEPOINT a", "SAVEPOINT a!, SAVEPOINT a, INSERT, RELEASE a", "new"},
		{"SAVEPOINT a", "INSERT!, SAVEPOINT b!, SAVEPOINT b!, INSERT!, RELEASE b!, ROLLBACK, INSERT", "new"},
		{"SAVEPOINT a", "COMMIT!, INSERT", "new"},
		{"SAVEPOINT a; SAVEPOINT b", "INSERT!, ROLLBACK TO b!, RELEASE b!, INSERT!, RELEASE a!, INSERT", "new"},
		{"SAVEPOINT a; SAVEPOINT b", "ROLLBACK TO b!, ROLLBACK TO a, INSERT, RELEASE a", "new"},
		{"SAVEPOINT a; SAVEPOINT a", "ROLLBACK TO a!, RELEASE a!, INSERT!, ROLLBACK TO a, INSERT, RELEASE a", "new"},
		{"SAVEPOINT a; SAVEPOINT b; RELEASE b; SAVEPOINT c; ROLLBACK TO a", "INSERT!, RELEASE a!, INSERT", "new"},
		{"BEGIN; COMMIT; SAVEPOINT a", "INSERT!, RELEASE a!, INSERT", "new"},
		{"SAVEPOINT b; RELEASE b; BEGIN; SAVEPOINT a", "RELEASE a!, INSERT!, ROLLBACK, INSERT", "new"},
		{"BEGIN", "INSERT!, BEGIN, INSERT, COMMIT", "new"},
		{"BEGIN", "BEGIN!, BEGIN, INSERT, COMMIT", "new"},
		{"BEGIN", "INSERT!, ROLLBACK, INSERT", "new"},
		{"BEGIN", "ROLLBACK; BEGIN, INSERT, ROLLBACK", ""},
		{"BEGIN", "DELETE FROM t; COMMIT!, INSERT", "new"},
		{"BEGIN", "COMMIT; BEGIN!, INSERT!, ROLLBACK, INSERT", "new"},
		{"SAVEPOINT a", "DELETE FROM t; ROLLBACK!, INSERT", "new"},
		{"BEGIN; SAVEPOINT a", "INSERT!, ROLLBACK TO a!, RELEASE a!, SAVEPOINT a!, SAVEPOINT a!, INSERT!, COMMIT!, INSERT", "new"},
	} {
		t.Run(c.begins+": "+c.steps, func(t *testing.T) {
			db, d := open(t, "", 0)
			conn := connect(t, db)
			mustExec(t, conn, c.begins)
			mustExec(t, conn, "INSERT INTO t (v) VALUES ('lost')")
			forceSwap(t, d)
			for step := range strings.SplitSeq(c.steps, ", ") {
				text, fails := strings.CutSuffix(step, "!")
				if text == "INSERT" {
					text = "INSERT INTO t (v) VALUES ('new')"
				}
				_, err := conn.ExecContext(context.Background(), text)
				if fails && !errors.Is(err, driver.ErrForced) || !fails && err != nil {
					t.Fatalf("%s: %v", step, err)
				}
			}
			if rows := texts(t, db, conn); rows != c.rows {
				t.Errorf("rows %q, want %q", rows, c.rows)
			}
		})
	}
}

// TestAPreparedEndOfALostTransactionEndsTheLoss, and so does one run as a query.
func TestAPreparedEndOfALostTransactionEndsTheLoss(t *testing.T) {
	for name, end := range map[string]func(conn *sql.Conn) error{
		"prepared": func(conn *sql.Conn) error {
			_, err := conn.PrepareContext(context.Background(), "RELEASE a")
			return err
		},
		"a query": func(conn *sql.Conn) error {
			_, err := conn.QueryContext(context.Background(), "RELEASE a")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, d := open(t, "", 0)
			conn := connect(t, db)
			mustExec(t, conn, "SAVEPOINT a; INSERT INTO t (v) VALUES ('lost')")
			forceSwap(t, d)
			if err := end(conn); !errors.Is(err, driver.ErrForced) {
				t.Errorf("%v", err)
			}
			mustExec(t, conn, "INSERT INTO t (v) VALUES ('new')")
			if rows := texts(t, db, conn); rows != "new" {
				t.Errorf("rows %q", rows)
			}
		})
	}
}

func forceSwap(t *testing.T, d *driver.Database) {
	t.Helper()
	f := mustFreeze(t, d, driver.FreezeOptions{Force: true, Timeout: 1})
	f.Replaced()
	f.Thaw()
}

// texts closes conn, so that what it has not committed is gone, and lists t's rows.
func texts(t *testing.T, db *sql.DB, conn *sql.Conn) string {
	t.Helper()
	conn.Close()
	db.SetMaxIdleConns(0)
	var all sql.NullString
	if err := db.QueryRow("SELECT group_concat(v) FROM t").Scan(&all); err != nil {
		t.Fatal(err)
	}
	return all.String
}

// TestATextThatDoesNotRunBeginsNothingAnew: it is only prepared, or its Rows are closed
// before their first step. What comes after it still belongs to what is lost.
func TestATextThatDoesNotRunBeginsNothingAnew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ begins, text string }{
		{"SAVEPOINT a", "ROLLBACK TO a"},
		{"BEGIN", "ROLLBACK; BEGIN"},
		{"BEGIN", "ROLLBACK; SELECT 1"},
		{"BEGIN", "BEGIN"},
		{"SAVEPOINT a", "SAVEPOINT a"},
	} {
		for _, told := range []bool{false, true} {
			for how, do := range map[string]func(*sql.Conn) error{
				"prepared": func(conn *sql.Conn) error {
					s, err := conn.PrepareContext(context.Background(), c.text)
					if err == nil {
						s.Close()
					}
					return err
				},
				"queried": func(conn *sql.Conn) error {
					rows, err := conn.QueryContext(context.Background(), c.text)
					if err == nil {
						rows.Close()
					}
					return err
				},
			} {
				db, d := open(t, "", 0)
				conn := connect(t, db)
				mustExec(t, conn, c.begins)
				mustExec(t, conn, "INSERT INTO t (v) VALUES ('lost')")
				forceSwap(t, d)
				const insert = "INSERT INTO t (v) VALUES ('half')"
				if told {
					if _, err := conn.ExecContext(context.Background(), insert); !errors.Is(err, driver.ErrForced) {
						t.Fatal(err)
					}
				}
				if err := do(conn); !errors.Is(err, driver.ErrForced) {
					t.Errorf("%s after %s, %s: %v", c.text, c.begins, how, err)
				}
				if _, err := conn.ExecContext(context.Background(), insert); !errors.Is(err, driver.ErrForced) && !strings.Contains(c.text, "ROLLBACK; SELECT") {
					t.Errorf("%s after %s, %s: the write after it: %v", c.text, c.begins, how, err)
				}
				conn.Close()
			}
		}
	}
}
