package swapper_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hotswap/driver"
	"hotswap/internal/testenv"
	"hotswap/swapper"
)

var inPlace = swapper.PushOptions{Method: swapper.MethodInPlace}

// sourceWith returns a database stamped stamp of about size bytes, made after
// the given pragmas.
func sourceWith(t testing.TB, stamp string, size int, pragmas ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "new.sqlite3")
	db, err := sql.Open("sqlite3", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, q := range append(slices.Concat(unsynced, pragmas), "CREATE TABLE items (id INTEGER PRIMARY KEY, stamp TEXT NOT NULL, filler BLOB)", "CREATE INDEX items_stamp ON items (stamp, id)") {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	_, err = db.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
		INSERT INTO items SELECT i, ?, randomblob(10000) FROM n`, max(size/10000, 1), stamp)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func contentOf(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "content.sqlite3")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite3", "file:"+path+"?mode=ro&immutable=1")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	return digest(t, db)
}

func TestAPushInPlaceReplacesTheContentInEveryJournalMode(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE", "TRUNCATE", "PERSIST"} {
		t.Run(mode, func(t *testing.T) {
			s := start(t, t.TempDir(), "&_journal="+mode)
			s.exec("INSERT INTO items (stamp) VALUES ('live')")
			info, err := os.Stat(s.path)
			if err != nil {
				t.Fatal(err)
			}
			old := digest(t, s.pool)
			prepared, err := s.pool.Prepare("SELECT count(DISTINCT stamp) FROM items")
			if err != nil {
				t.Fatal(err)
			}
			defer prepared.Close()
			told := 0
			defer s.db.OnSwap(func(driver.Swap) { told++ })()
			data := sourceWith(t, "new", 9<<20) // several steps of the copy
			r := s.mustPush(data, swapper.PushOptions{Method: swapper.MethodInPlace, Backup: true})
			if !r.Swapped || r.Method != swapper.MethodInPlace || r.InPlaceBecause != "asked for" || r.Generation != 2 || told != 1 {
				t.Errorf("the report says %+v, and OnSwap ran %d times", r, told)
			}
			if digest(t, s.pool) != contentOf(t, data) {
				t.Error("the live content is not what was pushed")
			}
			var n int
			if err := prepared.QueryRow().Scan(&n); err != nil || n != 1 {
				t.Errorf("an old statement: %d, %v", n, err)
			}
			var journal string
			if s.pool.QueryRow("PRAGMA journal_mode").Scan(&journal); !strings.EqualFold(journal, mode) {
				t.Errorf("journal mode %s", journal)
			}
			if after, err := os.Stat(s.path); err != nil || !os.SameFile(info, after) {
				t.Errorf("it is another file now, %v", err)
			}
			if wal, err := os.Stat(s.path + "-wal"); err == nil && wal.Size() > 1<<20 {
				t.Errorf("the WAL still has %d bytes", wal.Size())
			}
			s.onlyFiles(filepath.Base(r.BackupPath))
			kept, err := os.ReadFile(r.BackupPath)
			if err != nil || contentOf(t, kept) != old {
				t.Errorf("the backup is not the old content, %v", err)
			}
			s.exec("INSERT INTO items (stamp) VALUES ('new')")
			r = s.mustPush(source(t, "third"), swapper.PushOptions{})
			if r.Method != swapper.MethodRename || s.stamp() != "third" {
				t.Errorf("the push after it: %+v, %s", r, s.stamp())
			}
		})
	}
}

func TestInPlaceRefusesWhatSQLiteCannotWriteOverTheOld(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	for _, c := range []struct {
		pragma string
		says   []string
	}{
		{"PRAGMA page_size=1024", []string{"page size is 1024", "4096", "PRAGMA page_size = 4096"}},
		{"PRAGMA encoding='UTF-16le'", []string{"text encoding is UTF-16le", "UTF-8", "PRAGMA encoding = UTF-8"}},
	} {
		before := digest(t, s.pool)
		for _, dry := range []bool{true, false} {
			r, err := s.push(sourceWith(t, "new", 50_000, c.pragma), swapper.PushOptions{Method: swapper.MethodInPlace, DryRun: dry})
			if !errors.Is(err, swapper.ErrBadDatabase) || r.Swapped {
				t.Errorf("%s: %+v, %v", c.pragma, r, err)
			}
			for _, text := range append(c.says, "unchanged") {
				if err != nil && !strings.Contains(err.Error(), text) {
					t.Errorf("the message does not say %q: %v", text, err)
				}
			}
		}
		if digest(t, s.pool) != before {
			t.Error("the live database changed")
		}
		// By rename it can be done.
		s.mustPush(sourceWith(t, "live", 50_000, c.pragma), swapper.PushOptions{})
		s.mustPush(source(t, "live"), swapper.PushOptions{})
	}
	s.onlyFiles()
}

func TestWithARollbackJournalInPlaceTakesAnotherPageSize(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=DELETE")
	o := startOther(t, "file:"+s.path)
	o.must("SELECT count(*) FROM items")
	data := sourceWith(t, "new", 100_000, "PRAGMA page_size=1024")
	r := s.mustPush(data, swapper.PushOptions{})
	if r.Method != swapper.MethodInPlace || digest(t, s.pool) != contentOf(t, data) {
		t.Errorf("%+v", r)
	}
	if got := o.must("SELECT group_concat(DISTINCT stamp) FROM items"); got != "new" {
		t.Errorf("the other process reads %s", got)
	}
	if got := o.must("PRAGMA integrity_check"); got != "ok" {
		t.Error(got)
	}
	o.quit()
}

// TestACopyInPlaceThatIsCancelledLeavesTheOldContent cancels between any two of
// its steps.
func TestACopyInPlaceThatIsCancelledLeavesTheOldContent(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			s := start(t, t.TempDir(), "&_journal="+mode)
			before := digest(t, s.pool)
			data := sourceWith(t, "new", testenv.Sample(12, 30)<<20)
			cancelled := 0
			for i := range 12 {
				ctx, cancel := context.WithCancel(context.Background())
				steps := 0
				r, err := swapper.Push(ctx, s.db, bytes.NewReader(data), swapper.PushOptions{
					Method: swapper.MethodInPlace, Quick: true, Backup: i%2 == 0,
					Notify: func(e swapper.Event) {
						if e.Step == swapper.StepOverwriting || e.Step == swapper.StepWritesWait || e.Step == swapper.StepClosed {
							if steps++; steps > i/4 {
								cancel()
							}
						}
					},
				})
				cancel()
				switch {
				case err == nil: // the cancel came after the last step
					s.mustPush(source(t, "live"), swapper.PushOptions{})
				case !errors.Is(err, context.Canceled) || r.Swapped || digest(t, s.pool) != before:
					t.Fatalf("%+v, %v", r, err)
				default:
					cancelled++
					if _, err := os.Stat(s.path + "~"); i%2 == 0 && err == nil && r.BackupPath != "" {
						t.Error("a backup of what was not replaced")
					}
				}
				os.Remove(s.path + "~")
				s.onlyFiles()
				if wal, err := os.Stat(s.path + "-wal"); err == nil && wal.Size() > 4<<20 {
					t.Errorf("the WAL has %d bytes", wal.Size())
				}
				s.exec("INSERT INTO items (stamp) VALUES ('live')")
				before = digest(t, s.pool)
			}
			if cancelled == 0 {
				t.Error("no push was cancelled")
			}
			t.Logf("%d of 12 cancelled", cancelled)
		})
	}
}

func TestAnUnknownMethodIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "")
	s.refuses(swapper.PushOptions{Method: "move"}, nil, `no method "move"`, "auto, rename and in-place")
}

func TestAutoGoesInPlaceWhereThePlainDriverHasTheFileOpenToo(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	plain, err := sql.Open("sqlite3", s.path)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if err := plain.Ping(); err != nil {
		t.Fatal(err)
	}
	r := s.mustPush(source(t, "new"), swapper.PushOptions{})
	var stamp string
	if err := plain.QueryRow("SELECT group_concat(DISTINCT stamp) FROM items").Scan(&stamp); err != nil || stamp != "new" {
		t.Errorf("the plain driver reads %s, %v", stamp, err)
	}
	if r.Method != swapper.MethodInPlace || s.stamp() != "new" {
		t.Errorf("%+v", r)
	}
	plain.Close()
	if r := s.mustPush(source(t, "newer"), swapper.PushOptions{}); r.Method != swapper.MethodRename {
		t.Errorf("%+v", r)
	}
}

func TestAnEmptyFileThatSomebodyHasOpenIsFilledInPlace(t *testing.T) {
	t.Parallel()
	for _, journal := range []string{"WAL", "DELETE"} {
		t.Run(journal, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "live.sqlite3")
			held, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			o := startOther(t, "file:"+path)
			o.must("SELECT count(*) FROM sqlite_schema")
			held.Close()
			pool, err := sql.Open(driver.Name, path)
			if err != nil {
				t.Fatal(err)
			}
			defer pool.Close()
			db, _ := driver.Lookup(path)
			data := sourceWith(t, "new", 9<<20, "PRAGMA page_size=8192", "PRAGMA journal_mode="+journal)
			r, err := swapper.Push(t.Context(), db, bytes.NewReader(data), inPlace)
			if err != nil || r.Method != swapper.MethodInPlace {
				t.Fatalf("%+v, %v", r, err)
			}
			if digest(t, pool) != contentOf(t, data) || o.must("SELECT count(*) FROM items WHERE stamp = 'new'") == "0" {
				t.Error("the live content is not what was pushed")
			}
			o.quit()
		})
	}
}
