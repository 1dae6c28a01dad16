package swapper_test

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/swapper"
)

// damages are what makes a database unreadable as a whole.
var damages = map[string]func(data []byte) []byte{
	"the header":        func(data []byte) []byte { copy(data, bytes.Repeat([]byte("rubbish "), 20)); return data },
	"the schema's page": func(data []byte) []byte { copy(data[100:], bytes.Repeat([]byte{0xA5}, 400)); return data },
	"the schema's text": func(data []byte) []byte {
		return bytes.Replace(data, []byte("CREATE TABLE items ("), []byte("CREATE TABLE items )"), 1)
	},
	"cut": func(data []byte) []byte { return data[:len(data)/8192*4096] },
}

// leaveLive puts a database at path with a WAL beside it that nobody has brought
// into it, or a rollback journal's mode and nothing beside, and damages it.
func leaveLive(t *testing.T, path, mode, pageSize string, harm func([]byte) []byte) (main, wal []byte) {
	t.Helper()
	made := filepath.Join(t.TempDir(), "made.sqlite3")
	makeDatabase(t, made, "old", 300)
	db, err := sql.Open("sqlite3", "file:"+made)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, q := range []string{"PRAGMA page_size=" + pageSize, "VACUUM", "PRAGMA journal_mode=" + mode} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec("UPDATE items SET stamp = 'acknowledged' WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
	if main, err = os.ReadFile(made); err != nil {
		t.Fatal(err)
	}
	main = harm(main)
	if err := os.WriteFile(path, main, 0o644); err != nil {
		t.Fatal(err)
	}
	if mode == "WAL" {
		if wal, err = os.ReadFile(made + "-wal"); err != nil || len(wal) == 0 {
			t.Fatal(len(wal), err)
		}
		if err := os.WriteFile(path+"-wal", wal, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return main, wal
}

func TestALiveDatabaseThatCannotBeReadCanBeReplaced(t *testing.T) {
	for what, harm := range damages {
		for _, mode := range []string{"WAL", "DELETE"} {
			for _, used := range []bool{false, true} {
				t.Run(what+" "+mode+map[bool]string{true: " used"}[used], func(t *testing.T) {
					t.Parallel()
					dir := t.TempDir()
					path := filepath.Join(dir, "live.sqlite3")
					main, wal := leaveLive(t, path, mode, "4096", harm)
					pool, err := sql.Open(driver.Name, "file:"+path)
					if err != nil {
						t.Fatal(err)
					}
					defer pool.Close()
					s := &service{t: t, dir: dir, path: path, pool: pool}
					s.db, _ = driver.Lookup(path)
					if used {
						pool.Exec("SELECT * FROM items") // which fails, or reads what is in the WAL
					}
					opts := swapper.PushOptions{Method: swapper.MethodRename, Timeout: time.Second, Backup: true}
					_, err = s.push(source(t, "new"), opts)
					if err == nil && mode == "WAL" {
						return // it is whole again: the WAL had what was damaged
					}
					if !errors.Is(err, swapper.ErrTarget) || !strings.Contains(err.Error(), "can't be read") || !strings.Contains(err.Error(), "--skip-schema-check") {
						t.Fatalf("not skipped: %v", err)
					}
					opts.SkipSchemaCheck = true
					r := s.mustPush(source(t, "new"), opts)
					if s.stamp() != "new" {
						t.Error(s.stamp())
					}
					kept, err := os.ReadFile(r.BackupPath)
					if err != nil {
						t.Fatal(err)
					}
					keptWAL, _ := os.ReadFile(r.BackupPath + "-wal")
					if wal != nil && !bytes.Equal(keptWAL, wal) && bytes.Equal(kept, main) {
						t.Errorf("what the WAL had is neither in the backup nor beside it (%d bytes of %d)", len(keptWAL), len(wal))
					}
					if wal == nil && !bytes.Equal(kept, main) {
						t.Error("the backup is not what was there")
					}
					s.onlyFiles("live.sqlite3~", "live.sqlite3~-wal")
				})
			}
		}
	}
}

// TestTheWALOfADatabaseThatCannotBeReadIsKept: SQLite does not bring it into a file
// of which it does not know the page size.
func TestTheWALOfADatabaseThatCannotBeReadIsKept(t *testing.T) {
	t.Parallel()
	for _, backup := range []bool{true, false} {
		dir := t.TempDir()
		path := filepath.Join(dir, "live.sqlite3")
		main, wal := leaveLive(t, path, "WAL", "1024", damages["the header"])
		pool, err := sql.Open(driver.Name, "file:"+path)
		if err != nil {
			t.Fatal(err)
		}
		defer pool.Close()
		s := &service{t: t, dir: dir, path: path, pool: pool}
		s.db, _ = driver.Lookup(path)
		opts := swapper.PushOptions{SkipSchemaCheck: true, Backup: backup, Timeout: time.Second}
		r := s.mustPush(source(t, "new"), opts)
		if s.stamp() != "new" {
			t.Error(s.stamp())
		}
		if !backup {
			s.onlyFiles()
			continue
		}
		for name, want := range map[string][]byte{r.BackupPath: main, r.BackupPath + "-wal": wal} {
			if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s is not what was there: %v", name, err)
			}
		}
		s.onlyFiles("live.sqlite3~", "live.sqlite3~-wal")
		// The next backup is another database's, whose WAL that is not.
		s.mustPush(source(t, "newer"), swapper.PushOptions{Backup: true})
		s.onlyFiles("live.sqlite3~")
	}
}
