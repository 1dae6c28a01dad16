package driver_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// attachedOnly is a database that is attached to connections of another one, and has
// none of its own open.
type attachedOnly struct {
	t              *testing.T
	a, b, next     string
	main, pool     *sql.DB // of a, and of b
	db             *driver.Database
	attachesInHook bool
}

func newAttached(t *testing.T) *attachedOnly {
	dir := t.TempDir()
	at := &attachedOnly{t: t, a: filepath.Join(dir, "a.db"), b: filepath.Join(dir, "b.db"), next: filepath.Join(dir, "next.db")}
	makeStamped(t, at.a, "main")
	makeStamped(t, at.b, "old")
	makeStamped(t, at.next, "new")
	var err error
	at.main, err = sql.Open(register(t, driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		if !at.attachesInHook {
			return nil
		}
		_, err := c.Exec(at.attach(), nil)
		return err
	})), at.a)
	if err != nil {
		t.Fatal(err)
	}
	at.main.SetMaxOpenConns(1)
	t.Cleanup(func() { at.main.Close() })
	return at
}

func (at *attachedOnly) attach() string { return "ATTACH '" + at.b + "' AS b" }

// manage opens the pool of the attached database, but no connection.
func (at *attachedOnly) manage() {
	at.t.Helper()
	var err error
	if at.pool, err = sql.Open(driver.Name, at.b); err != nil {
		at.t.Fatal(err)
	}
	at.t.Cleanup(func() { at.pool.Close() })
	at.db, _ = driver.Lookup(at.b)
}

func (at *attachedOnly) mv() {
	at.t.Helper()
	if err := os.Rename(at.next, at.b); err != nil {
		at.t.Fatal(err)
	}
}

func stampOf(db *sql.DB, table string) string {
	var s string
	if err := db.QueryRow("SELECT group_concat(stamp) FROM " + table).Scan(&s); err != nil {
		return err.Error()
	}
	return s
}

func makeStamped(t *testing.T, path, stamp string) {
	t.Helper()
	db, err := sql.Open("sqlite3", path+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, db, "CREATE TABLE t (stamp); INSERT INTO t VALUES ('"+stamp+"')")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestAFileThatOnlyConnectionsOfOthersHaveOpenIsWatched: they move to the one that
// takes its place, and the database's own can be opened.
func TestAFileThatOnlyConnectionsOfOthersHaveOpenIsWatched(t *testing.T) {
	t.Parallel()
	for how, attach := range map[string]func(at *attachedOnly){
		"in a hook": func(at *attachedOnly) {
			at.manage()
			at.attachesInHook = true
		},
		"by text": func(at *attachedOnly) {
			at.manage()
			mustExec(t, at.main, at.attach())
		},
		"by text, of a statement": func(at *attachedOnly) {
			at.manage()
			s, err := at.main.Prepare(at.attach())
			if err == nil {
				_, err = s.Exec()
			}
			if err != nil {
				t.Error(err)
			}
		},
		"through Raw": func(at *attachedOnly) {
			at.manage()
			conn, err := at.main.Conn(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if err := driver.Raw(conn, func(c *sqlite3.SQLiteConn) error { _, err := c.Exec(at.attach(), nil); return err }); err != nil {
				t.Error(err)
			}
		},
		"before it was managed": func(at *attachedOnly) {
			mustExec(t, at.main, at.attach())
			at.manage()
		},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			at := newAttached(t)
			attach(at)
			if s := stampOf(at.main, "b.t"); s != "old" {
				t.Fatalf("read %q", s)
			}
			at.mv()
			testenv.Eventually(t, func() error {
				if g := at.db.Generation(); g != 2 {
					return fmt.Errorf("generation %d", g)
				}
				return nil
			})
			if s := stampOf(at.pool, "t"); s != "new" {
				t.Errorf("read %q", s)
			}
			if s := stampOf(at.main, "b.t"); s != "new" && how != "through Raw" { // where it is lost
				t.Errorf("read %q through the other one", s)
			}
		})
	}
}

// TestTheFirstFileOfADatabaseMayBeReadByAnAttacher: one that comes after it begins
// another generation.
func TestTheFirstFileOfADatabaseMayBeReadByAnAttacher(t *testing.T) {
	t.Parallel()
	at := newAttached(t)
	at.manage()
	at.attachesInHook = true
	at.main.SetMaxIdleConns(-1)
	if s := stampOf(at.main, "b.t"); s != "old" || at.db.Generation() != 1 {
		t.Errorf("read %q in generation %d", s, at.db.Generation())
	}
	at.mv()
	if s := stampOf(at.main, "b.t"); s != "new" || at.db.Generation() != 2 {
		t.Errorf("read %q in generation %d", s, at.db.Generation())
	}
}

// TestNewConnectionsAreRefusedOfAReplacedFile if the program wants that, while others
// have the old file open, whether the database's own or those of one that attaches it.
func TestNewConnectionsAreRefusedOfAReplacedFile(t *testing.T) {
	for _, attached := range []bool{false, true} {
		t.Run(fmt.Sprintf("attached %v", attached), func(t *testing.T) {
			at := newAttached(t)
			pool, err := sql.Open(register(t, driver.WithExternalReplace(driver.RefuseReplaced)), at.b)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			if attached {
				mustExec(t, at.main, at.attach())
			} else {
				connect(t, pool)
			}
			d, _ := driver.Lookup(at.b)
			at.mv()
			driver.Tick(d)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if conn, err := pool.Conn(ctx); !errors.Is(err, driver.ErrReplaced) {
				t.Errorf("connected: %v, %v", conn != nil, err)
			}
		})
	}
}
