package driver_test

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/rs/zerolog"

	"hotswap/driver"
	"hotswap/internal/lognote"
)

// attached lists the schemas of a connection and their files.
func attached(t testing.TB, conn *sql.Conn) string {
	t.Helper()
	rows, err := conn.QueryContext(context.Background(), "PRAGMA database_list")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var seq int
		var name, file string
		if err := rows.Scan(&seq, &name, &file); err != nil {
			t.Fatal(err)
		}
		if name != "main" && name != "temp" {
			all = append(all, name+"="+file)
		}
	}
	return strings.Join(all, " ")
}

// TestEveryAttachIsReplayed, however its file and its schema are named.
func TestEveryAttachIsReplayed(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	for name, tell := range map[string]func(conn *sql.Conn){
		"bound names": func(conn *sql.Conn) {
			mustExec(t, conn, "ATTACH ? AS ?", file("a"), "one")
			mustExec(t, conn, "ATTACH ? AS ?", file("b"), "two")
		},
		"named parameters": func(conn *sql.Conn) {
			mustExec(t, conn, "ATTACH $f AS :s", sql.Named("s", "One two"), sql.Named("f", file("a")))
			mustExec(t, conn, "ATTACH @f AS :s", sql.Named("s", "three"), sql.Named("f", file("b")))
		},
		"two in a text, and one taken off again": func(conn *sql.Conn) {
			mustExec(t, conn, "ATTACH DATABASE ?1 AS ?2; ATTACH ? AS [b c]; ATTACH ? AS gone; DETACH gone", file("a"), "one", file("b"), file("c"))
			mustExec(t, conn, "ATTACH ? AS ?", file("d"), "off")
			mustExec(t, conn, "DETACH ?", "off")
		},
		"quotes": func(conn *sql.Conn) {
			mustExec(t, conn, `ATTACH "`+file("a")+`" AS 'it''s'; ATTACH '`+file("b")+"' AS `x y` -- ;")
		},
		"an expression": func(conn *sql.Conn) {
			mustExec(t, conn, "ATTACH ? || '/a' AS 'o' || 'ne'; ATTACH printf('%s/b', ?) AS two", dir, dir)
		},
		"a name that was another file's": func(conn *sql.Conn) {
			mustExec(t, conn, "ATTACH ? AS one", file("a"))
			mustExec(t, conn, "DETACH one; ATTACH ? AS one", file("b"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, d := open(t, "", 1)
			conn := connect(t, db)
			tell(conn)
			before := attached(t, conn)
			swap(t, d)
			if after := attached(t, conn); after != before || after == "" {
				t.Errorf("after a swap %q, before %q", after, before)
			}
		})
	}
}

// TestAnAttachedFileIsTheSameAfterAChangeOfDirectory: a relative name would then lead
// to another file, which SQLite would create.
func TestAnAttachedFileIsTheSameAfterAChangeOfDirectory(t *testing.T) {
	for name, attach := range map[string]func(conn *sql.Conn){
		"plain": func(conn *sql.Conn) { mustExec(t, conn, "ATTACH 'b.db' AS side") },
		"bound": func(conn *sql.Conn) { mustExec(t, conn, "ATTACH ? AS side", "./b.db") },
		"bytes": func(conn *sql.Conn) { mustExec(t, conn, "ATTACH ? AS side", []byte("b.db")) },
		"a URI": func(conn *sql.Conn) { mustExec(t, conn, "ATTACH 'file:b.db?mode=ro&cache=private#x' AS side") },
		"an escaped URI": func(conn *sql.Conn) {
			mustExec(t, conn, "ATTACH ? AS side", "file:%62.db?mode=ro")
		},
	} {
		t.Run(name, func(t *testing.T) {
			db, d := open(t, "", 1)
			t.Chdir(t.TempDir())
			other, err := sql.Open("sqlite3", "b.db")
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			mustExec(t, other, "CREATE TABLE b (x); INSERT INTO b VALUES (7)")
			conn := connect(t, db)
			attach(conn)
			before := attached(t, conn)
			t.Chdir(t.TempDir())
			swap(t, d)
			var x int
			if err := conn.QueryRowContext(context.Background(), "SELECT x FROM side.b").Scan(&x); err != nil || x != 7 {
				t.Errorf("%d, %v", x, err)
			}
			if after := attached(t, conn); after != before {
				t.Errorf("%q, before %q", after, before)
			}
			if _, err := os.Lstat("b.db"); err == nil {
				t.Error("another file was made in the new directory")
			}
			_, err = conn.ExecContext(context.Background(), "INSERT INTO side.b VALUES (8)")
			if readOnly := strings.Contains(name, "URI"); readOnly != (err != nil) {
				t.Errorf("a write, with the URI's mode=ro %v: %v", readOnly, err)
			}
		})
	}
}

// TestAnAttachedFileThatIsGoneIsNotMadeAnew: calls fail and name it until it is back.
func TestAnAttachedFileThatIsGoneIsNotMadeAnew(t *testing.T) {
	db, d := open(t, "", 1)
	conn := connect(t, db)
	side := filepath.Join(t.TempDir(), "side.db")
	mustExec(t, conn, "ATTACH ? AS side", side)
	mustExec(t, conn, "CREATE TABLE side.s (x)")
	if err := os.Rename(side, side+".away"); err != nil {
		t.Fatal(err)
	}
	swap(t, d)
	if _, err := conn.ExecContext(context.Background(), "SELECT 1"); err == nil || !strings.Contains(err.Error(), side) {
		t.Errorf("%v", err)
	}
	if _, err := os.Lstat(side); err == nil {
		t.Error("it was made anew, empty")
	}
	if err := os.Rename(side+".away", side); err != nil {
		t.Fatal(err)
	}
	mustExec(t, conn, "INSERT INTO side.s VALUES (1)")
}

// TestAByteOrderMarkHidesNoSetting: SQLite skips it.
func TestAByteOrderMarkHidesNoSetting(t *testing.T) {
	db, d := open(t, "", 1)
	conn := connect(t, db)
	mustExec(t, conn, "\uFEFFPRAGMA foreign_keys=ON")
	mustExec(t, conn, "\uFEFF\uFEFF /* x */ \uFEFFPRAGMA cache_size=77")
	mustExec(t, conn, "\uFEFFATTACH ':memory:' AS side")
	swap(t, d)
	for pragma, want := range map[string]int{"foreign_keys": 1, "cache_size": 77} {
		var got int
		if err := conn.QueryRowContext(context.Background(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %d, %v", pragma, got, err)
		}
	}
	if got := attached(t, conn); got != "side=" {
		t.Errorf("attached: %q", got)
	}
}

// lines is a log that may be read while it is written to.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) with(text string) (found []string) {
	lognote.Flush(time.Minute)
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// TestWhatIsLostInASwapIsSaid: what is in no file, of a connection that has some of
// that.
func TestWhatIsLostInASwapIsSaid(t *testing.T) {
	for _, c := range []struct {
		texts []string
		lost  string // "" for nothing
	}{
		{[]string{"CREATE TEMP TABLE a (x)"}, "temp"},
		{[]string{"CREATE TABLE IF NOT EXISTS temp.a (x)"}, "temp"},
		{[]string{"BEGIN; CREATE TEMPORARY VIEW v AS SELECT 1; COMMIT"}, "temp"},
		{[]string{"CREATE TEMP TABLE a (x)", "DROP TABLE a"}, ""},
		{[]string{"BEGIN; CREATE TEMP TABLE a (x); ROLLBACK"}, ""},
		{[]string{"ATTACH ':memory:' AS cache", "CREATE TABLE cache.a (x)"}, "cache"},
		{[]string{"ATTACH '' AS scratch; CREATE TABLE scratch.a (x)"}, "scratch"},
		{[]string{"ATTACH 'file:x?mode=memory' AS [a b]", `CREATE TABLE "a b".a (x)`, "CREATE TEMP TABLE b (x)"}, "a b, temp"},
		{[]string{"ATTACH ':memory:' AS empty"}, ""},
		{[]string{"CREATE TABLE a (x)"}, ""},
	} {
		log := &lines{}
		path := filepath.Join(t.TempDir(), "x.sqlite3")
		db, err := sql.Open(register(t, driver.WithLogger(zerolog.New(log))), path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		conn := connect(t, db)
		for _, text := range c.texts {
			mustExec(t, conn, text)
		}
		d, _ := driver.Lookup(path)
		for range 2 { // it is lost only once
			swap(t, d)
			mustExec(t, conn, "SELECT 1")
		}
		said := log.with("is lost")
		if c.lost == "" && len(said) != 0 || c.lost != "" && (len(said) != 1 || !strings.Contains(said[0], `"`+c.lost+`"`)) {
			t.Errorf("%q: %q", c.texts, said)
		}
	}
}

// TestAPragmaOfWhatRawAttachedIsSaidAtOnce: it can't be replayed, since what Raw
// attached will be gone.
func TestAPragmaOfWhatRawAttachedIsSaidAtOnce(t *testing.T) {
	for hook := range 2 {
		log := &lines{}
		opts := []driver.Option{driver.WithLogger(zerolog.New(log))}
		if hook == 1 {
			opts = append(opts, driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
				_, err := c.Exec("ATTACH ':memory:' AS hooked", nil)
				return err
			}))
		}
		db, err := sql.Open(register(t, opts...), filepath.Join(t.TempDir(), "x.sqlite3"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		conn := connect(t, db)
		if err := driver.Raw(conn, func(c *sqlite3.SQLiteConn) error {
			_, err := c.Exec("ATTACH ':memory:' AS raw", nil)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		mustExec(t, conn, "ATTACH ':memory:' AS told; PRAGMA told.cache_size = 7; PRAGMA main.cache_size = 7; PRAGMA temp.cache_size = 7")
		if hook == 1 {
			mustExec(t, conn, "PRAGMA hooked.cache_size = 7")
		}
		if said := log.with("can't be replayed"); len(said) != 0 {
			t.Errorf("%q", said)
		}
		for range 2 {
			mustExec(t, conn, "PRAGMA raw.cache_size = 7")
		}
		if said := log.with("can't be replayed"); len(said) != 1 || !strings.Contains(said[0], "raw.cache_size") {
			t.Errorf("%q", said)
		}
	}
}
