package pages

import (
	"bytes"
	"context"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/snapshot"
)

func openAt(t *testing.T, dsn string) *sqlite3.SQLiteConn {
	t.Helper()
	c, err := (&sqlite3.SQLiteDriver{}).Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*sqlite3.SQLiteConn)
}

func mustExec(t *testing.T, c *sqlite3.SQLiteConn, text string) {
	t.Helper()
	if _, err := c.Exec(text, nil); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// makeOld makes a database of about a hundred pages, in WAL mode with pages in the log.
func makeOld(t *testing.T, path, journal string) *sqlite3.SQLiteConn {
	t.Helper()
	c := openAt(t, path+"?_sync=OFF")
	mustExec(t, c, `PRAGMA journal_mode=`+journal+`; PRAGMA wal_autocheckpoint=0; CREATE TABLE t (id INTEGER PRIMARY KEY, v);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 100) INSERT INTO t SELECT i, randomblob(3000) FROM n`)
	if journal == "WAL" {
		mustExec(t, c, "PRAGMA wal_checkpoint(TRUNCATE)")
	}
	mustExec(t, c, "UPDATE t SET v = randomblob(3000) WHERE id % 7 = 0; UPDATE t SET v = randomblob(3000) WHERE id % 14 = 0")
	return c
}

// diffOf compares the database of c with the one in file.
func diffOf(t *testing.T, c *sqlite3.SQLiteConn, path string, file *os.File) *Diff {
	t.Helper()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, c, "BEGIN; SELECT count(*) FROM sqlite_schema")
	defer mustExec(t, c, "COMMIT")
	rows, err := c.Query("SELECT count(*) FROM sqlite_schema", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	s, err := snapshot.Of(c, path)
	if err != nil {
		t.Fatal(err)
	}
	d := NewDiff(file, info.Size()/4096, 4096)
	if err := s.CopyTo(context.Background(), d, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestWhatIsWrittenIsWhatDiffers: over databases that grow, shrink and change anywhere,
// in both kinds of journal. The outcome is the new one to the byte, but for what a
// commit changes in the first page.
func TestWhatIsWrittenIsWhatDiffers(t *testing.T) {
	for _, journal := range []string{"WAL", "DELETE"} {
		for name, change := range map[string]string{
			"nothing":        "SELECT 1",
			"one row":        "UPDATE t SET v = randomblob(3000) WHERE id = 50",
			"some rows":      "UPDATE t SET v = randomblob(3000) WHERE id % 9 = 0",
			"every row":      "UPDATE t SET v = randomblob(3000)",
			"the end":        "UPDATE t SET v = randomblob(3000) WHERE id = 100",
			"longer":         "INSERT INTO t SELECT id + 1000, randomblob(5000) FROM t",
			"shorter":        "DELETE FROM t WHERE id > 30; VACUUM",
			"another":        "CREATE TABLE u AS SELECT * FROM t; CREATE INDEX i ON u (v)",
			"nearly all":     "DELETE FROM t; VACUUM",
			"the file's own": "SELECT 1",
		} {
			t.Run(journal+"/"+name, func(t *testing.T) {
				dir := t.TempDir()
				live, stage := filepath.Join(dir, "live"), filepath.Join(dir, "stage")
				c := makeOld(t, live, journal)
				mustExec(t, c, "VACUUM INTO '"+stage+"'")
				// As VACUUM has moved pages, the live one is made like it first.
				source := openAt(t, stage)
				b, err := c.Backup("main", source, "main")
				if err != nil {
					t.Fatal(err)
				}
				if done, err := b.Step(-1); !done || err != nil {
					t.Fatal(done, err)
				}
				b.Close()
				if name == "the file's own" { // which the log has changed
					mustExec(t, c, "PRAGMA wal_checkpoint(TRUNCATE); UPDATE t SET v = randomblob(3000) WHERE id % 20 = 0")
				} else {
					mustExec(t, c, "UPDATE t SET v = v WHERE id % 20 = 0") // in the log once more, and the same
				}
				mustExec(t, source, change)
				source.Close()
				source = openAt(t, "file:"+stage+"?mode=ro&immutable=1")
				file, err := os.Open(stage)
				if err != nil {
					t.Fatal(err)
				}
				defer file.Close()
				reader := openAt(t, live)
				diff := diffOf(t, reader, live, file)
				written, done := writeAll(t, c, source, diff)
				if !done {
					t.Fatal("it did not end")
				}
				want := diff.Count() + 2 // the first two are written in any case
				if written > want {
					t.Errorf("%d pages were written, and %d differ of %d", written, diff.Count(), len(diff.differs))
				}
				if name == "nothing" && diff.Count() > 1 {
					t.Errorf("%d pages differ", diff.Count())
				}
				assertEqual(t, c, stage, dir)
			})
		}
	}
}

// writeAll writes source over the database of c, and returns how many pages it copied.
func writeAll(t *testing.T, c, source *sqlite3.SQLiteConn, diff *Diff) (copied int64, done bool) {
	t.Helper()
	b, err := NewBackup(c, source)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.SQLiteBackup.Step(0); err != nil {
		t.Fatal(err)
	}
	committing := false
	for !done {
		before := b.PageCount() - b.Remaining()
		if done, err = b.Step(5, diff, func() { committing = true }); err != nil {
			t.Fatal(err)
		}
		if done && !committing {
			t.Error("it has committed unannounced")
		}
		if after := b.PageCount() - b.Remaining(); before < 2 {
			copied += int64(after - before)
		} else {
			first, n := diff.run(before+1, 5)
			if after > before && after != first+n-1 {
				t.Errorf("from page %d to %d, not to %d", before, after, first+n-1)
			}
			copied += int64(n)
		}
	}
	if b.next == nil && len(diff.differs) > 2 {
		t.Error("the counter was not found: with this SQLite every page is written")
	}
	return copied, done
}

func assertEqual(t *testing.T, c *sqlite3.SQLiteConn, stage, dir string) {
	t.Helper()
	// Not VACUUM INTO: page by page.
	dst := filepath.Join(dir, "after")
	to := openAt(t, dst)
	b, err := to.Backup("main", c, "main")
	if err != nil {
		t.Fatal(err)
	}
	if done, err := b.Step(-1); !done || err != nil {
		t.Fatal(done, err)
	}
	b.Close()
	to.Close()
	got, err := os.ReadFile(dst)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(stage)
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range [][]byte{got, want} {
		clear(image[18:20])  // the journal mode
		clear(image[24:28])  // the change counter
		clear(image[40:44])  // the schema cookie
		clear(image[92:100]) // version-valid-for, and the version of SQLite
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes, and %d were to be; they differ", len(got), len(want))
	}
}

// TestABackupThatIsLostIsNotCommitted: if what was found is not the counter after all.
func TestABackupThatIsLostIsNotCommitted(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		live, stage := filepath.Join(dir, "live"), filepath.Join(dir, "stage")
		c := makeOld(t, live, "WAL")
		mustExec(t, c, "VACUUM INTO '"+stage+"'")
		source := openAt(t, "file:"+stage+"?mode=ro&immutable=1")
		b, err := NewBackup(c, source)
		if err != nil {
			t.Fatal(err)
		}
		b.SQLiteBackup.Step(0)
		diff := &Diff{differs: make([]bool, b.PageCount())}
		diff.differs[rand.Intn(50)+10] = true
		for range 2 {
			if _, err := b.Step(5, diff, func() {}); err != nil {
				t.Fatal(err)
			}
		}
		if b.next == nil {
			t.Skip("nothing is passed over with this SQLite")
		}
		var elsewhere uint32
		b.next = &elsewhere
		done, err := b.Step(5, diff, func() {})
		if err == nil || done {
			t.Fatal(done, err)
		}
		b.Close()
		rows, err := c.Query("SELECT count(*) FROM t WHERE id = 100", nil)
		if err != nil {
			t.Fatal(err)
		}
		rows.Close()
	}
}

func TestRunsOfPagesThatDifferAreFoundInTurn(t *testing.T) {
	d := &Diff{differs: []bool{true, false, false, true, true, false}}
	var got [][2]int
	for page, n := 1, 1; n > 0; page += n {
		page, n = d.run(page, 10)
		got = append(got, [2]int{page, n})
	}
	if want := [][2]int{{1, 1}, {4, 2}, {7, 0}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
