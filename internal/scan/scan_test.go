package scan_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/scan"
)

var (
	files = flag.Int("files", 150, "how many damaged files TestTheScanAndSQLiteAgree compares")
	seed  = flag.Uint64("seed", 1, "of the first of them")
)

// connector opens connections with a collation of the program's own, and perhaps one
// more, under a name of SQLite's.
type connector struct{ name, own string }

func (c connector) Driver() driver.Driver { return &sqlite3.SQLiteDriver{} }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	conn, err := (&sqlite3.SQLiteDriver{}).Open(c.name)
	if err != nil {
		return nil, err
	}
	inner := conn.(*sqlite3.SQLiteConn)
	if err := inner.RegisterCollation("backwards", func(a, b string) int { return strings.Compare(b, a) }); err != nil {
		return nil, err
	}
	if c.own != "" {
		if err := inner.RegisterCollation(c.own, func(a, b string) int { return strings.Compare(strings.ToUpper(a), strings.ToUpper(b)) }); err != nil {
			return nil, err
		}
	}
	return conn, nil
}

func open(t testing.TB, path, own string) *sql.DB {
	db := sql.OpenDB(connector{"file:" + path + "?nolock=1", own})
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	return db
}

// check is a pragma's verdict: "ok", or its first line, or the error.
func check(db *sql.DB, pragma string) string {
	var text string
	if err := db.QueryRow("PRAGMA " + pragma).Scan(&text); err != nil {
		return err.Error()
	}
	return text
}

// scanned is the verdict of the quick check and the scan, and how many tables the
// scan left to SQLite; -1 if it did not come to that. The scan comes first: it has to
// bear what the quick check would have found.
func scanned(db *sql.DB, path, own string) (verdict string, undecided int) {
	plan, err := scan.NewPlan(context.Background(), db, own == "")
	if err != nil { // or what it says
		return check(db, "main.integrity_check"), -1
	}
	file, err := os.Open(path)
	if err != nil {
		return err.Error(), -1
	}
	defer file.Close()
	content, err := scan.Open(file)
	if err != nil {
		return err.Error(), -1
	}
	names, err := plan.Undecided(context.Background(), content)
	if err != nil {
		return check(db, "main.integrity_check"), -1
	}
	if verdict := check(db, "main.quick_check"); verdict != "ok" {
		return verdict, -1
	}
	for _, name := range names {
		if verdict := check(db, `main.integrity_check("`+strings.ReplaceAll(name, `"`, `""`)+`")`); verdict != "ok" {
			return verdict, len(names)
		}
	}
	return "ok", len(names)
}

// TestTheScanAndSQLiteAgree on databases of all kinds, whole and damaged in all kinds
// of ways: whatever integrity_check finds, the quick check, the scan and SQLite's
// check of what that leaves to it do, and nothing else.
func TestTheScanAndSQLiteAgree(t *testing.T) {
	t.Parallel()
	type outcome struct{ damaged, byScan, whole, decided int }
	var (
		mu    sync.Mutex
		found = map[string]*outcome{}
		next  = make(chan uint64)
		group sync.WaitGroup
	)
	for range 4 {
		group.Go(func() {
			for n := range next {
				g := &generator{rand.New(rand.NewPCG(n, 7))}
				path := filepath.Join(t.TempDir(), fmt.Sprintf("%d.sqlite3", n))
				how, err := g.make(t, path)
				if err != nil {
					t.Errorf("seed %d, %s: %v", n, how, err)
					continue
				}
				own := ""
				if g.IntN(10) == 0 {
					own = g.one("NOCASE", "RTRIM", "BINARY")
				}
				db := open(t, path, own)
				want := check(db, "main.integrity_check")
				got, undecided := scanned(db, path, own)
				db.Close()
				if (got == "ok") != (want == "ok") {
					t.Errorf("seed %d, %s, own %q: SQLite says %q, the scan %q (%d undecided)", n, how, own, want, got, undecided)
				}
				os.Remove(path)
				mu.Lock()
				o := found[how]
				if o == nil {
					o = &outcome{}
					found[how] = o
				}
				switch {
				case want == "ok" && undecided == 0:
					o.decided++
					o.whole++
				case want == "ok":
					o.whole++
				case undecided >= 0:
					o.byScan++
					o.damaged++
				default:
					o.damaged++
				}
				mu.Unlock()
			}
		})
	}
	for i := range *files {
		next <- *seed + uint64(i)
	}
	close(next)
	group.Wait()
	total := outcome{}
	for how, o := range found {
		t.Logf("%-28s %4d damaged, %4d of them for the scan to find; %4d whole, %4d of them decided by the scan alone", how, o.damaged, o.byScan, o.whole, o.decided)
		total.byScan += o.byScan
		total.decided += o.decided
	}
	if total.byScan < *files/10 || total.decided < *files/20 {
		t.Errorf("of %d files only %d were damaged so that the scan had to find it, and %d were whole and decided by it", *files, total.byScan, total.decided)
	}
}

var columnTypes = []string{"", "TEXT", "INTEGER", "REAL", "BLOB", "NUMERIC", "TEXT COLLATE NOCASE", "TEXT COLLATE RTRIM"}
