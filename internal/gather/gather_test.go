package gather_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/gather"
	"hotswap/internal/testenv"
)

// pair is a database whose log or journal is gathered, and one beside which the same is
// done.
type pair struct {
	t     *testing.T
	conns [2]*sql.Conn
}

func newPair(t *testing.T, dir, mode string) *pair {
	p := &pair{t: t}
	for i := range p.conns {
		// So small a cache writes pages in the midst of transactions, and reads them again.
		db, err := sql.Open("sqlite3", fmt.Sprintf("file:%s/%d.sqlite3?_journal=%s&_sync=EXTRA&_cache_size=10", dir, i, mode))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		if p.conns[i], err = db.Conn(context.Background()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.conns[i].Close() })
	}
	return p
}

// do runs a statement on both, and has the first one's writes gathered from then on.
func (p *pair) do(query string, args ...any) {
	p.t.Helper()
	var errs [2]error
	for i, c := range p.conns {
		_, errs[i] = c.ExecContext(context.Background(), query, args...)
	}
	if fmt.Sprint(errs[0]) != fmt.Sprint(errs[1]) {
		p.t.Fatalf("%.80s: %v, and beside it %v", query, errs[0], errs[1])
	}
	err := p.conns[0].Raw(func(c any) error { return gather.Journal(c.(*sqlite3.SQLiteConn)) })
	if err != nil {
		p.t.Fatal(err)
	}
}

// content is what another connection sees, after it has replayed a journal that was left.
func content(t *testing.T, path string) string {
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var sound, all string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
		t.Fatal(path, sound, err)
	}
	if err := db.QueryRow("SELECT coalesce(group_concat(id || ' ' || length(v) || ' ' || hex(substr(v, 1, 4)) || hex(substr(v, -4))), '') FROM t").Scan(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestWhatIsGatheredIsAsIfItWereNot: random transactions, larger than the cache, and
// parts of them that are rolled back, read each other's pages from the log and the
// journal.
func TestWhatIsGatheredIsAsIfItWereNot(t *testing.T) {
	for _, mode := range []string{"WAL", "DELETE", "PERSIST", "TRUNCATE", "MEMORY"} {
		for seed := range uint64(testenv.Sample(1, 6)) {
			t.Run(fmt.Sprintf("%s/%d", mode, seed), func(t *testing.T) {
				t.Parallel()
				r := rand.New(rand.NewPCG(seed, 13))
				dir := t.TempDir()
				p := newPair(t, dir, mode)
				p.do("CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)")
				inside, savepoints := false, 0
				for range 150 {
					switch n := r.IntN(12); {
					case n < 5:
						v := bytes.Repeat([]byte{byte(r.IntN(256))}, r.IntN(20_000))
						p.do("INSERT OR REPLACE INTO t VALUES (?, ?)", r.IntN(100), v)
					case n < 7:
						p.do("UPDATE t SET v = v || zeroblob(?) WHERE id % 7 = ?", r.IntN(300), r.IntN(7))
					case n == 7:
						p.do("DELETE FROM t WHERE id % 5 = ?", r.IntN(5))
					case !inside:
						p.do("BEGIN")
						inside = true
					case n == 8 || n == 9 && savepoints == 0:
						p.do("SAVEPOINT s")
						savepoints++
					case n == 9:
						p.do("ROLLBACK TO s")
					case r.IntN(3) == 0:
						p.do("ROLLBACK")
						inside, savepoints = false, 0
					default:
						p.do("COMMIT")
						inside, savepoints = false, 0
						if got, want := content(t, filepath.Join(dir, "0.sqlite3")), content(t, filepath.Join(dir, "1.sqlite3")); got != want {
							t.Fatalf("%.200s\nand beside it\n%.200s", got, want)
						}
					}
				}
				if inside {
					p.do("COMMIT")
				}
				for _, c := range p.conns {
					c.Close()
				}
				if got, want := content(t, filepath.Join(dir, "0.sqlite3")), content(t, filepath.Join(dir, "1.sqlite3")); got != want {
					t.Errorf("closed: %.200s\nand beside it\n%.200s", got, want)
				}
			})
		}
	}
}

// TestWritesAreGathered: of 4,000 pages each is written by itself only where it must be.
func TestWritesAreGathered(t *testing.T) {
	for mode, most := range map[string]int{"WAL": 1000, "DELETE": 5000} {
		db, err := sql.Open("sqlite3", fmt.Sprintf("file:%s/x.sqlite3?_journal=%s&_sync=EXTRA&_cache_size=-100000", t.TempDir(), mode))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		db.SetMaxOpenConns(1)
		exec := func(query string) {
			t.Helper()
			if _, err := db.Exec(query); err != nil {
				t.Fatal(err)
			}
		}
		exec("PRAGMA wal_autocheckpoint=0")
		exec("PRAGMA temp_store=MEMORY") // the statement's own journal
		exec("CREATE TABLE t (v BLOB)")
		exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) INSERT INTO t SELECT zeroblob(3500) FROM n")
		exec("BEGIN")
		exec("UPDATE t SET v = zeroblob(3501) WHERE rowid = 1")
		c, err := db.Conn(context.Background())
		if err == nil {
			err = c.Raw(func(c any) error { return gather.Journal(c.(*sqlite3.SQLiteConn)) })
			c.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		before := writes(t)
		exec("UPDATE t SET v = zeroblob(3501)")
		exec("COMMIT")
		if n := writes(t) - before; n > most {
			t.Errorf("%s: %d writes", mode, n)
		}
	}
}

// writes is how many system calls of this process have written.
func writes(t *testing.T) (n int) {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		testenv.Skip(t, "the writes of this process are not counted: %v", err)
	}
	_, after, _ := strings.Cut(string(text), "syscw:")
	if _, err := fmt.Sscan(after, &n); err != nil {
		t.Fatal(err)
	}
	return n
}
