package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

// meaning is a connection of one of the two drivers, with what its calls said.
type meaning struct {
	*testing.T
	dir    string
	db     *sql.DB
	conn   *sql.Conn
	ours   bool
	denies bool // what the authorizer of its hook does
	said   []string
}

func newMeaning(t *testing.T, ours bool) *meaning {
	t.Helper()
	m := &meaning{T: t, dir: t.TempDir(), ours: ours}
	use := "sqlite3"
	if ours {
		use = driver.Name
	}
	hook := func(c *sqlite3.SQLiteConn) error {
		c.RegisterAuthorizer(func(_ int, table, _, _ string) int {
			if m.denies && (table == "secret" || table == "BEGIN") {
				return sqlite3.SQLITE_DENY
			}
			return sqlite3.SQLITE_OK
		})
		return nil
	}
	if strings.Contains(t.Name(), "hook") {
		name := m.dir // nobody has registered that
		if ours {
			sql.Register(name, driver.New(driver.WithConnectHook(hook)))
		} else {
			sql.Register(name, &sqlite3.SQLiteDriver{ConnectHook: hook})
		}
		use = name
	}
	asked := ""
	if ours && strings.Contains(t.Name(), "asked") {
		asked = "&_stmt_cache_size=64"
	}
	var err error
	if m.db, err = sql.Open(use, "file:"+filepath.Join(m.dir, "main.db")+"?_busy_timeout=50"+asked); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.db.Close() })
	m.conn = connect(t, m.db)
	return m
}

// run notes what each text says.
func (m *meaning) run(texts ...string) {
	m.Helper()
	for _, text := range texts {
		said := "done"
		rows, err := m.conn.QueryContext(context.Background(), text)
		if err == nil {
			columns, _ := rows.Columns()
			values := make([]any, len(columns))
			dest := make([]any, len(columns))
			for i := range values {
				dest[i] = &values[i]
			}
			for rows.Next() && !strings.HasPrefix(text, "EXPLAIN") {
				err = errors.Join(err, rows.Scan(dest...))
				said += fmt.Sprint(" ", values)
			}
			err = errors.Join(err, rows.Err(), rows.Close())
		}
		if err != nil {
			said = err.Error()
		}
		m.said = append(m.said, strings.ReplaceAll(text, m.dir, "")+": "+said)
	}
}

// repeat runs the texts often enough for their statements to be kept.
func (m *meaning) repeat(texts ...string) {
	m.Helper()
	for range 4 {
		m.run(texts...)
		for _, text := range texts {
			_, err := m.conn.ExecContext(context.Background(), text)
			m.said = append(m.said, fmt.Sprint(text, ": ", err))
		}
	}
}

func attachThroughRaw(m *meaning) {
	m.run("CREATE TABLE other (v)")
	m.repeat("SELECT 1")
	m.raw(func(c *sqlite3.SQLiteConn) error {
		_, err := c.Exec("ATTACH '"+m.dir+"/side.db' AS side; CREATE TABLE side.x (v)", nil)
		return err
	})
	m.repeat("INSERT INTO x VALUES (1)")
	another, err := sql.Open("sqlite3", filepath.Join(m.dir, "main.db")) // such as another process
	if err != nil {
		m.Fatal(err)
	}
	defer another.Close()
	mustExec(m.T, another, "CREATE TABLE x (v)")
	m.run("SELECT count(*) FROM other") // until then it does not know
	m.repeat("INSERT INTO x VALUES (1)")
	m.run(counts)
}

// drop drops a table that was used.
func (m *meaning) drop(text string) {
	m.Helper()
	m.run("CREATE TABLE x (v)", "CREATE TABLE y (v)")
	m.repeat("INSERT INTO x VALUES (1)", "SELECT v FROM x")
	if _, err := m.conn.ExecContext(m.Context(), text); err != nil {
		m.Fatal(err)
	}
	m.locked("INSERT INTO x VALUES (1)", "SELECT v FROM x")
}

// locked runs the texts while another connection has the whole database.
func (m *meaning) locked(texts ...string) {
	m.Helper()
	other := connect(m.T, m.db)
	mustExec(m.T, other, "BEGIN EXCLUSIVE")
	m.run(texts...)
	mustExec(m.T, other, "ROLLBACK")
	m.run(texts...)
}

// begin notes what two transactions say.
func (m *meaning) begin() {
	m.Helper()
	for range 2 {
		tx, err := m.conn.BeginTx(context.Background(), nil)
		if err == nil {
			err = tx.Commit()
		}
		m.said = append(m.said, fmt.Sprint("a transaction: ", err))
	}
}

func (m *meaning) raw(fn func(*sqlite3.SQLiteConn) error) {
	m.Helper()
	err := error(nil)
	if m.ours {
		err = driver.Raw(m.conn, fn)
	} else {
		err = m.conn.Raw(func(c any) error { return fn(c.(*sqlite3.SQLiteConn)) })
	}
	if err != nil {
		m.Fatal(err)
	}
}
