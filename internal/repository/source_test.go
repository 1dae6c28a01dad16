package repository

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/swapper"
)

func TestWhatIsNoDatabaseIsNotPublished(t *testing.T) {
	w := newWorld(t)
	damaged := w.database(4096, 300<<10)
	f, err := os.OpenFile(damaged, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(make([]byte, 64<<10), 40<<10); err != nil {
		t.Fatal(err)
	}
	cut := w.database(4096, 300<<10)
	if err := os.Truncate(cut, 100<<10); err != nil {
		t.Fatal(err)
	}
	garbage, note, empty := filepath.Join(w.dir, "garbage"), filepath.Join(w.dir, "note"), filepath.Join(w.dir, "empty")
	copyBytes(t, note, []byte("hello\n"))
	copyBytes(t, garbage, []byte(strings.Repeat("no database ", 100)))
	copyBytes(t, empty, nil)
	for path, words := range map[string]string{
		damaged: "corrupt", cut: "", garbage: "not an SQLite database", note: `not an SQLite database: it begins with "hello\n"`, empty: "empty", w.dir: "is a directory",
		filepath.Join(w.dir, "none"): "no such file",
	} {
		_, err := w.repo.Publish(t.Context(), "catalog", path, PublishOptions{})
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "live") || strings.HasSuffix(err.Error(), "bad database") {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
		if path != w.dir && words != "no such file" && !errors.Is(err, swapper.ErrBadDatabase) {
			t.Errorf("%s is not a bad database: %v", filepath.Base(path), err)
		}
	}
	if _, err := w.repo.Publish(t.Context(), "catalog", w.database(4096, 8192), PublishOptions{Message: strings.Repeat("m", mostManifest)}); !errors.Is(err, ErrManifest) {
		t.Errorf("with a message that is too long: %v", err)
	}
	if all, err := w.repo.Versions(t.Context(), "catalog"); err != nil || len(all) != 0 {
		t.Errorf("there are %v, %v", all, err)
	}
}

// TestADatabaseInUseIsPublishedAsOfOneMoment: what is committed is in the version, wherever
// SQLite has it, and what is not is not.
func TestADatabaseInUseIsPublishedAsOfOneMoment(t *testing.T) {
	w := newWorld(t)
	path := w.database(4096, 100<<10)
	db, err := sql.Open("sqlite3", "file:"+path+"?_journal=WAL")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w.exec(db, "PRAGMA wal_autocheckpoint=0")
	w.exec(db, "INSERT INTO item VALUES (1000001, 'committed')")
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("INSERT INTO item VALUES (1000002, 'open')"); err != nil {
		t.Fatal(err)
	}
	p := w.publish("catalog", path, PublishOptions{})
	content, _ := w.fetch(w.repo, p.Published)
	copyBytes(t, path+".fetched", content)
	got := w.sqlite(path + ".fetched")
	defer got.Close()
	var bodies string
	if err := got.QueryRow("SELECT group_concat(body) FROM item WHERE id > 1000000").Scan(&bodies); err != nil || bodies != "committed" {
		t.Errorf("the version has %q, %v", bodies, err)
	}
}

func TestWhatAKilledPublisherHasLeftIsRemoved(t *testing.T) {
	w := newWorld(t)
	path := w.database(4096, 100<<10)
	left := filepath.Join(w.dir, "."+filepath.Base(path)+".hotswap-MGFNH5QQETKB.pull")
	copyFile(t, path, left)
	w.publish("catalog", path, PublishOptions{})
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}
