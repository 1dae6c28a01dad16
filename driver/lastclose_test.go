package driver_test

import (
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/inside"
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

func needsSharedCache(t *testing.T) {
	if driver.UnlockNotify {
		t.Skip("see TestASharedCacheIsRefusedWithUnlockNotify")
	}
}

// TestASharedCacheIsRefusedWithUnlockNotify, managed or not; nothing else is.
func TestASharedCacheIsRefusedWithUnlockNotify(t *testing.T) {
	for name, shared := range map[string]bool{
		"file:" + filepath.Join(t.TempDir(), "a.db") + "?cache=shared": true, "file:x?mode=memory&cache=shared": true,
		"file:" + filepath.Join(t.TempDir(), "a.db") + "?cache=private": false, ":memory:": false,
	} {
		pool, err := sql.Open(driver.Name, name)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		err = pool.Ping()
		if refused := err != nil && strings.Contains(err.Error(), "sqlite_unlock_notify"); refused != (driver.UnlockNotify && shared) || err != nil && !refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestConnectionsWithASharedCacheComeAndGo: none is refused because another one is just
// being closed.
func TestConnectionsWithASharedCacheComeAndGo(t *testing.T) {
	needsSharedCache(t)
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
