package driver_test

import (
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/testenv"
)

// TestTheLastCloseOfAnAttachedFileLeavesNoWALBesideAReplacedOne: whether the attached
// file is a managed database, is not, is one no longer, or ceases to be one at that
// moment.
func TestTheLastCloseOfAnAttachedFileLeavesNoWALBesideAReplacedOne(t *testing.T) {
	for name, its := range map[string]func(t *testing.T, path string) (closed func()){
		"never managed": func(*testing.T, string) func() { return func() {} },
		"not managed any more": func(t *testing.T, path string) func() {
			pool := openAt(t, path)
			pool.Close()
			return func() {}
		},
		"managed until then": func(t *testing.T, path string) func() {
			pool := openAt(t, path)
			pool.SetMaxIdleConns(-1)
			return func() { go pool.Close() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, next, aside := filepath.Join(dir, "b.db"), filepath.Join(dir, "next.db"), filepath.Join(dir, "aside.db")
			for _, p := range []string{path, next} {
				db, err := sql.Open("sqlite3", p+"?_journal=WAL")
				if err != nil {
					t.Fatal(err)
				}
				mustExec(t, db, "CREATE TABLE t (stamp)")
				db.Close()
			}
			closed := its(t, path)
			main, err := sql.Open(driver.Name, filepath.Join(dir, "a.db")+"?_journal=WAL")
			if err != nil {
				t.Fatal(err)
			}
			defer main.Close()
			main.SetMaxOpenConns(1)
			mustExec(t, main, "ATTACH '"+path+"' AS b; INSERT INTO b.t VALUES ('old'), ('old')")
			if err := errors.Join(os.Rename(path, aside), os.Rename(next, path)); err != nil {
				t.Fatal(err)
			}
			closed()
			main.Close()
			if _, err := os.Lstat(path + "-wal"); err == nil {
				t.Error("its WAL is beside the new one")
			}
			for file, want := range map[string]int{aside: 2, path: 0} {
				db, err := sql.Open("sqlite3", file)
				if err != nil {
					t.Fatal(err)
				}
				var n int
				if err := db.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != want {
					t.Errorf("%s has %d rows, %v", filepath.Base(file), n, err)
				}
				db.Close()
			}
		})
	}
}

func openAt(t *testing.T, path string) *sql.DB {
	t.Helper()
	pool, err := sql.Open(driver.Name, path)
	if err == nil {
		err = pool.Ping()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	return pool
}

// TestAnOpenThatFailsLeavesNoWALBesideAReplacedFile: a connect hook has written to the
// file, which is then replaced. Neither does the close of a connection outside any
// call.
func TestAnOpenThatFailsLeavesNoWALBesideAReplacedFile(t *testing.T) {
	t.Parallel()
	mistake := errors.New("a user's mistake")
	for how, open := range map[string]func(t *testing.T, pool *sql.DB, d *driver.Database, stage string, result *any){
		"its hook fails": func(t *testing.T, pool *sql.DB, d *driver.Database, stage string, result *any) {
			*result = mistake
			if err := pool.Ping(); !errors.Is(err, mistake) {
				t.Error(err)
			}
		},
		"its hook panics": func(t *testing.T, pool *sql.DB, d *driver.Database, stage string, result *any) {
			*result = "a user's mistake"
			panics(t, func() { pool.Ping() })
		},
		"a rehearsal": func(t *testing.T, pool *sql.DB, d *driver.Database, stage string, result *any) {
			if err := inside.Of(d).Rehearse(t.Context(), stage, false); err != nil {
				t.Error(err)
			}
		},
		"a rehearsal, whose hook fails": func(t *testing.T, pool *sql.DB, d *driver.Database, stage string, result *any) {
			*result = mistake
			if err := inside.Of(d).Rehearse(t.Context(), stage, false); !errors.Is(err, mistake) {
				t.Error(err)
			}
		},
		"a look at another file": func(t *testing.T, pool *sql.DB, d *driver.Database, stage string, result *any) {
			look := inside.Of(d).OpenFile(stage, true, "mode=rw")
			if err := errors.Join(look.Ping(), look.Close()); err != nil {
				t.Error(err)
			}
		},
	} {
		for _, attaches := range []bool{false, true} {
			if !attaches && how != "its hook fails" && how != "its hook panics" {
				continue
			}
			t.Run(fmt.Sprintf("%s, attached %v", how, attaches), func(t *testing.T) {
				dir := t.TempDir()
				file := func(name string) string { return filepath.Join(dir, name) }
				for _, name := range []string{"main", "old", "new", "stage"} {
					makeStamped(t, file(name), name)
				}
				main, in := file("main"), "b"
				if !attaches {
					main, in = file("old"), "main"
				}
				var result any
				pool, err := sql.Open(register(t, driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
					if attaches {
						if _, err := c.Exec("ATTACH '"+file("old")+"' AS b", nil); err != nil {
							return err
						}
					}
					if _, err := c.Exec("INSERT INTO "+in+".t VALUES ('hook')", nil); err != nil {
						return err
					}
					if err := errors.Join(os.Rename(file("old"), file("aside")), os.Rename(file("new"), file("old"))); err != nil {
						return err
					}
					if err, ok := result.(error); ok || result == nil {
						return err
					}
					panic(result)
				})), main)
				if err != nil {
					t.Fatal(err)
				}
				defer pool.Close()
				d, _ := driver.Lookup(main)
				open(t, pool, d, file("stage"), &result)
				if _, err := os.Lstat(file("old-wal")); err == nil {
					t.Error("its WAL is beside the new one")
				}
				for name, want := range map[string]string{"aside": "old,hook", "old": "new"} {
					db, err := sql.Open("sqlite3", file(name))
					if err != nil {
						t.Fatal(err)
					}
					if got := stampOf(db, "t"); got != want {
						t.Errorf("%s has %q", name, got)
					}
					db.Close()
				}
			})
		}
	}
}

// TestAPanicThroughSQLiteOfAConnectHookIsOfItsConnectionAlone: the file that it leaves
// open does not keep another from being opened in its place.
func TestAPanicThroughSQLiteOfAConnectHookIsOfItsConnectionAlone(t *testing.T) {
	at := newAttached(t)
	mistaken := true
	pool, err := sql.Open(register(t, driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error {
		if !mistaken {
			return nil
		}
		if err := c.RegisterFunc("oops", func() int { panic("a user's mistake") }, false); err != nil {
			return err
		}
		_, err := c.Exec("SELECT oops() FROM t", nil)
		return err
	})), at.b+"?_busy_timeout=100")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	panics(t, func() { pool.Ping() })
	mistaken = false
	at.mv()
	if s := stampOf(pool, "t"); s != "new" {
		t.Errorf("read %q", s)
	}
}

// TestALastCloseTakesNothingFromConnectionsThatAreBeingOpened: one is closed while two
// others are in their connect hooks, one of which already has the file's WAL open. They
// may yet fail, and leave it alone; or they may use it.
func TestALastCloseTakesNothingFromConnectionsThatAreBeingOpened(t *testing.T) {
	dir := t.TempDir()
	path, next, aside := filepath.Join(dir, "a.db"), filepath.Join(dir, "next.db"), filepath.Join(dir, "aside.db")
	makeStamped(t, path, "old")
	makeStamped(t, next, "new")
	in, withWAL, without := make(chan struct{}), make(chan struct{}), make(chan struct{})
	hooks := make(chan func(c *sqlite3.SQLiteConn) error, 3)
	pool, err := sql.Open(register(t, driver.WithConnectHook(func(c *sqlite3.SQLiteConn) error { return (<-hooks)(c) })), path)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	pool.SetMaxIdleConns(-1)
	write := func(c *sqlite3.SQLiteConn, stamp string) error {
		_, err := c.Exec("INSERT INTO t VALUES (?)", []sqldriver.Value{stamp})
		return err
	}
	hooks <- func(c *sqlite3.SQLiteConn) error { return write(c, "first") }
	hooks <- func(c *sqlite3.SQLiteConn) error {
		err := write(c, "second")
		in <- struct{}{}
		<-withWAL
		return errors.Join(err, write(c, "third"))
	}
	hooks <- func(c *sqlite3.SQLiteConn) error {
		in <- struct{}{}
		<-without
		return write(c, "fourth")
	}
	closing, err := pool.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan *sql.Conn)
	for range 2 {
		go func() {
			conn, err := pool.Conn(t.Context())
			if err != nil {
				t.Error(err)
			}
			opened <- conn
		}()
		<-in
	}
	if err := errors.Join(os.Rename(path, aside), os.Rename(next, path), closing.Close()); err != nil {
		t.Fatal(err)
	}
	close(withWAL)
	one := <-opened
	close(without)
	for _, conn := range []*sql.Conn{<-opened, one} {
		if conn != nil {
			conn.Close()
		}
	}
	for file, want := range map[string]string{aside: "old,first,second,third,fourth", path: "new"} {
		db, err := sql.Open("sqlite3", file)
		if err != nil {
			t.Fatal(err)
		}
		if got := stampOf(db, "t"); got != want {
			t.Errorf("%s has %q", filepath.Base(file), got)
		}
		db.Close()
	}
}

// TestConnectionsWithASharedCacheComeAndGo: none is refused because another one is just
// being closed.
func TestConnectionsWithASharedCacheComeAndGo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	makeStamped(t, path, "a")
	pool := openAt(t, "file:"+path+"?cache=shared")
	pool.SetMaxIdleConns(-1)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 300 {
				if s := stampOf(pool, "t"); s != "a" {
					t.Errorf("read %q", s)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestTheLastConnectionThatMayWriteLeavesNothingInTheWAL: those that are left can't
// move it into the file, which is moved away then; or before.
func TestTheLastConnectionThatMayWriteLeavesNothingInTheWAL(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(writer, reader *sql.DB, mv func(), d *driver.Database){
		"the move": func(_, reader *sql.DB, mv func(), d *driver.Database) {
			mv()
			testenv.Until(t, "they have moved", func() bool {
				reader.QueryRow("SELECT 1").Scan(new(int))
				return d.Generation() == 2
			})
		},
		"closed after it":  func(writer, reader *sql.DB, mv func(), _ *driver.Database) { mv(); writer.Close(); reader.Close() },
		"closed before it": func(writer, reader *sql.DB, mv func(), _ *driver.Database) { writer.Close(); mv(); reader.Close() },
	} {
		dir := t.TempDir()
		path, next, aside := filepath.Join(dir, "live.db"), filepath.Join(dir, "next.db"), filepath.Join(dir, "aside.db")
		makeStamped(t, next, "new")
		writer, err := sql.Open(driver.Name, "file:"+path+"?_journal=WAL")
		if err != nil {
			t.Fatal(err)
		}
		defer writer.Close()
		mustExec(t, writer, "CREATE TABLE t (v)")
		reader, err := sql.Open(driver.Name, "file:"+path+"?mode=ro")
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		var n int
		for range 100 {
			mustExec(t, writer, "INSERT INTO t VALUES (1)")
			if err := reader.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
				t.Fatal(err)
			}
		}
		d, _ := driver.Lookup(path)
		leave(writer, reader, func() {
			if err := errors.Join(os.Rename(path, aside), os.Rename(next, path)); err != nil {
				t.Fatal(err)
			}
		}, d)
		old, err := sql.Open("sqlite3", "file:"+aside+"?mode=ro")
		if err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		if err := old.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 100 {
			t.Errorf("%s: %d of 100 rows in the old file, %v", name, n, err)
		}
		left, _ := filepath.Glob(path + "-wal*")
		for _, name := range left {
			if info, err := os.Stat(name); err == nil && info.Size() > 0 {
				t.Errorf("%s is left", name)
			}
		}
	}
}

// TestTheLastCloseCountsNoConnectionOfAnotherDriver: that one, plain go-sqlite3's, is
// closed after it, and leaves a WAL beside another file that is there by then.
func TestTheLastCloseCountsNoConnectionOfAnotherDriver(t *testing.T) {
	for _, movedBefore := range []bool{true, false} {
		t.Run(fmt.Sprintf("moved before it %v", movedBefore), func(t *testing.T) {
			dir := t.TempDir()
			path, next, aside := filepath.Join(dir, "a.db"), filepath.Join(dir, "next.db"), filepath.Join(dir, "aside.db")
			makeStamped(t, path, "old")
			makeStamped(t, next, "new")
			pool := openAt(t, path)
			mustExec(t, pool, "INSERT INTO t VALUES ('written')")
			plain, err := sql.Open("sqlite3", path)
			if err != nil {
				t.Fatal(err)
			}
			defer plain.Close()
			if s := stampOf(plain, "t"); s != "old,written" {
				t.Fatalf("read %q", s)
			}
			if !movedBefore {
				pool.Close()
			}
			if err := errors.Join(os.Rename(path, aside), os.Rename(next, path)); err != nil {
				t.Fatal(err)
			}
			pool.Close()
			plain.Close()
			if s := stampOf(openAt(t, path), "t"); s != "new" {
				t.Errorf("the new file has %q", s)
			}
			if s := stampOf(openAt(t, aside), "t"); s != "old,written" {
				t.Errorf("the old file has %q", s)
			}
		})
	}
}

// TestReadersPutAsideTheWALOfAWriterThatDied: none of them could move it into the file.
func TestReadersPutAsideTheWALOfAWriterThatDied(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, next, aside := filepath.Join(dir, "live.db"), filepath.Join(dir, "next.db"), filepath.Join(dir, "aside.db")
	makeStamped(t, next, "new")
	// What a process leaves that dies: the files as they are while it writes.
	writer, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "writes.db")+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	mustExec(t, writer, "CREATE TABLE t (v)")
	mustExec(t, writer, "INSERT INTO t VALUES (1)")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(filepath.Join(dir, "writes.db"+suffix))
		if err == nil {
			err = os.WriteFile(path+suffix, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	reader, err := sql.Open(driver.Name, "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var n int
	if err := reader.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if err := errors.Join(os.Rename(path, aside), os.Rename(next, path)); err != nil {
		t.Fatal(err)
	}
	reader.Close()
	if _, err := os.Stat(path + "-wal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a WAL is beside the new file: %v", err)
	}
	logs, err := filepath.Glob(path + "-wal.of-replaced-*")
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}
	if err := os.Rename(logs[0], aside+"-wal"); err != nil {
		t.Fatal(err)
	}
	old, err := sql.Open("sqlite3", "file:"+aside)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := old.QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}
