package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// atEnd is a source that does something when all of it was read.
type atEnd struct {
	io.Reader
	do func()
}

func (r *atEnd) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		r.do()
	}
	return n, err
}

// TestAFileMovedThereAtTheEndOfAnUploadStaysWhole: the push opens the live path
// next, with the program's connections on the old file, whose WAL is not empty.
func TestAFileMovedThereAtTheEndOfAnUploadStaysWhole(t *testing.T) {
	for _, method := range []swapper.Method{swapper.MethodAuto, swapper.MethodInPlace} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			for range testenv.Sample(2, 4) {
				s := start(t, t.TempDir(), "&_journal=WAL")
				var written atomic.Int64
				stop := testenv.Loop(t, 1, func() error {
					_, err := s.pool.Exec("INSERT INTO items (stamp) SELECT stamp FROM items LIMIT 1")
					if err == nil {
						written.Add(1)
					}
					return err
				})
				testenv.Until(t, "the WAL has something in it", func() bool { return written.Load() > 100 })
				moved := filepath.Join(s.dir, "moved.sqlite3")
				makeDatabase(t, moved, "moved", 100)
				r, err := swapper.Push(t.Context(), s.db, &atEnd{bytes.NewReader(source(t, "new")), func() {
					if err := os.Rename(moved, s.path); err != nil {
						t.Error(err)
					}
				}}, swapper.PushOptions{Method: method})
				if !errors.Is(err, swapper.ErrBusy) || !strings.Contains(err.Error(), "something else replaced") || r.Swapped {
					t.Errorf("%+v, %v", r, err)
				}
				testenv.Until(t, "the moved file is adopted", func() bool { return s.db.Generation() == 2 })
				stop()
				if got := s.stamp(); got != "moved" {
					t.Errorf("it has %s", got)
				}
				var ok string
				if err := s.pool.QueryRow("PRAGMA integrity_check").Scan(&ok); err != nil || ok != "ok" {
					t.Error(ok, err)
				}
				s.onlyFiles()
				s.pool.Close()
			}
		})
	}
}

// TestAPushClosesTheConnectionsThatHaveItAttachedInWhateverWay: in a connect hook,
// through Raw, by Query.
func TestAPushClosesTheConnectionsThatHaveItAttachedInWhateverWay(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	attach := func(c *sqlite3.SQLiteConn) error {
		_, err := c.Exec("ATTACH '"+s.path+"' AS other", nil)
		return err
	}
	sql.Register("attaches-in-a-hook", driver.New(driver.WithConnectHook(attach)))
	for name, open := range map[string]func(main string) *sql.DB{
		"hook": func(main string) *sql.DB {
			pool, err := sql.Open("attaches-in-a-hook", main)
			if err != nil {
				t.Fatal(err)
			}
			return pool
		},
		"Raw": func(main string) *sql.DB {
			pool, err := sql.Open(driver.Name, main)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := pool.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := driver.Raw(conn, attach); err != nil {
				t.Fatal(err)
			}
			return pool
		},
		"Query": func(main string) *sql.DB {
			pool, err := sql.Open(driver.Name, main)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			t.Cleanup(cancel)
			rows, err := pool.QueryContext(ctx, "ATTACH ? AS other", s.path)
			if err != nil {
				t.Fatal(err)
			}
			rows.Next()
			rows.Close()
			return pool
		},
	} {
		t.Run(name, func(t *testing.T) {
			pool := open(filepath.Join(t.TempDir(), "main.sqlite3"))
			defer pool.Close()
			was := s.stamp()
			if got := attached(t, pool); got != was {
				t.Fatalf("attached it reads %s, not %s", got, was)
			}
			if of := s.db.Attachers(); len(of) != 1 {
				t.Errorf("attached by %v", of)
			}
			s.mustPush(source(t, "new "+name), swapper.PushOptions{Method: swapper.MethodRename})
			if name == "hook" { // which attaches it anew
				if got := attached(t, pool); got != "new hook" {
					t.Errorf("attached it reads %s", got)
				}
			}
		})
	}
}

// TestAPushOutlivesItsPool: the program closes it meanwhile, and opens another.
func TestAPushOutlivesItsPool(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	told := make(chan driver.Swap, 1)
	r := s.mustPush(source(t, "new"), swapper.PushOptions{Method: swapper.MethodRename, Validate: func(context.Context, *sql.DB) error {
		s.pool.Close()
		pool, err := sql.Open(driver.Name, s.path)
		if err != nil {
			return err
		}
		s.pool = pool
		d, ok := driver.Lookup(s.path)
		if !ok || d != s.db {
			t.Errorf("another Database: %v", d)
			return nil
		}
		d.OnSwap(func(s driver.Swap) { told <- s })
		return pool.Ping()
	}})
	defer s.pool.Close()
	if got := s.stamp(); got != "new" || s.db.Generation() != r.Generation || len(told) != 1 {
		t.Errorf("%s, generation %d, OnSwap told %d times; %+v", got, s.db.Generation(), len(told), r)
	}
}

// TestAPushThatMeetsATurnedSymlinkIsRefused: it would replace what is no longer live.
func TestAPushThatMeetsATurnedSymlinkIsRefused(t *testing.T) {
	t.Parallel()
	for _, method := range []swapper.Method{swapper.MethodAuto, swapper.MethodInPlace} {
		t.Run(string(method), func(t *testing.T) {
			dir := t.TempDir()
			turn := func(rel string) {
				t.Helper()
				if err := os.Mkdir(filepath.Join(dir, rel), 0o700); err != nil {
					t.Fatal(err)
				}
				makeDatabase(t, filepath.Join(dir, rel, "live.sqlite3"), rel, 10)
				if err := os.Symlink(rel, filepath.Join(dir, "next")); err != nil {
					t.Fatal(err)
				}
				if err := os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "current")); err != nil {
					t.Fatal(err)
				}
			}
			turn("rel1")
			name := filepath.Join(dir, "current", "live.sqlite3")
			pool, err := sql.Open(driver.Name, name+"?_journal=WAL")
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			if err := pool.Ping(); err != nil {
				t.Fatal(err)
			}
			d, _ := driver.Lookup(name)
			r, err := swapper.Push(t.Context(), d, bytes.NewReader(source(t, "new")), swapper.PushOptions{Method: method, Validate: func(context.Context, *sql.DB) error {
				turn("rel2")
				return nil
			}})
			if !errors.Is(err, swapper.ErrBusy) || !strings.Contains(err.Error(), "symlink") || r.Swapped {
				t.Errorf("%+v, %v", r, err)
			}
			testenv.Eventually(t, func() error {
				var stamp string
				if err := pool.QueryRow("SELECT group_concat(DISTINCT stamp) FROM items").Scan(&stamp); err != nil || stamp != "rel2" {
					return errors.Join(errors.New("it reads "+stamp), err)
				}
				return nil
			})
		})
	}
}

// TestAReportNamesTheGenerationOfItsOwnSwap: another one may have begun before the
// callbacks have returned, in the midst of them even, which read that file then. No
// connection of the push's own keeps them from it.
func TestAReportNamesTheGenerationOfItsOwnSwap(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE"} {
		for _, method := range []swapper.Method{swapper.MethodRename, swapper.MethodInPlace} {
			for _, idle := range []int{2, -1} {
				t.Run(fmt.Sprintf("%s/%s/idle=%d", journal, method, idle), func(t *testing.T) {
					s := start(t, t.TempDir(), "&_journal="+journal)
					s.pool.SetMaxIdleConns(idle)
					next := filepath.Join(t.TempDir(), "next.sqlite3")
					makeDatabase(t, next, "moved", 20)
					defer s.db.OnSwap(func(swap driver.Swap) {
						if swap.External {
							return
						}
						if err := os.Rename(next, s.path); err != nil {
							t.Error(err)
						}
						testenv.Until(t, "the moved file is adopted", func() bool { return s.stamp() == "moved" })
					})()
					if r := s.mustPush(source(t, "new"), swapper.PushOptions{Method: method}); r.Generation != 2 || s.db.Generation() != 3 {
						t.Errorf("the push says generation %d; now it is %d", r.Generation, s.db.Generation())
					}
				})
			}
		}
	}
}
