package bench

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"
	"github.com/ngrok/sqlmw"
	"golang.org/x/sys/unix"

	"hotswap/driver"
)

func init() {
	sql.Register("sqlmw-only", sqlmw.Driver(&sqlite3.SQLiteDriver{}, sqlmw.NullInterceptor{}))
	sql.Register("hotswap-sqlmw", driver.New(driver.WithInterceptor(sqlmw.NullInterceptor{})))
}

// The drivers under comparison, raw first.
var variants = []struct{ name, driver, params string }{
	{"raw", "sqlite3", ""},
	{"raw again", "sqlite3", ""},
	{"cached", "sqlite3", "&_stmt_cache_size=64"},
	{"hotswap", driver.Name, ""},
	{"sqlmw", "hotswap-sqlmw", ""},
	{"sqlmw-only", "sqlmw-only", ""},
}

// tempDir returns a directory on tmpfs where there is one with room enough, so
// that what is measured is not the disk.
func tempDir(tb testing.TB) string {
	tb.Helper()
	need := uint64(1 << 30)
	if *large {
		need = 4 << 30
	}
	const tmpfs = "/dev/shm"
	var fs unix.Statfs_t
	if err := unix.Statfs(tmpfs, &fs); err != nil || uint64(fs.Bavail)*uint64(fs.Bsize) < need {
		return tb.TempDir()
	}
	dir, err := os.MkdirTemp(tmpfs, "hotswap-bench-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

const rowsInTable = 10000

func openPool(tb testing.TB, driverName, path, params string) *sql.DB {
	tb.Helper()
	db, err := sql.Open(driverName, "file:"+path+"?_journal=WAL&_sync=OFF"+params)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { db.Close() })
	return db
}

func fill(tb testing.TB, db *sql.DB, rows int) {
	tb.Helper()
	for _, q := range []string{
		"CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, n INTEGER NOT NULL)",
		"CREATE TABLE wide (id INTEGER PRIMARY KEY, name TEXT NOT NULL, n INTEGER NOT NULL, price REAL, at DATETIME)",
		"CREATE TABLE blobs (id INTEGER PRIMARY KEY, body BLOB)",
		"INSERT INTO blobs (body) VALUES (randomblob(1000000))",
		"CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT, n INTEGER)",
		fmt.Sprintf("WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM i WHERE n < %d) INSERT INTO t SELECT n, 'name ' || n, n FROM i", rows),
		"INSERT INTO wide SELECT id, name, n, n / 7.0, datetime(1700000000 + n, 'unixepoch') FROM t",
	} {
		if _, err := db.Exec(q); err != nil {
			tb.Fatal(err)
		}
	}
}

// operation prepares what is measured on one pool, and returns it.
type operation func(tb testing.TB, db *sql.DB) func(i int) error

var operations = []struct {
	name string
	make operation
}{
	{"exec-prepared-in-tx", func(tb testing.TB, db *sql.DB) func(int) error {
		tx, err := db.Begin()
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { tx.Rollback() })
		stmt, err := tx.Prepare("UPDATE t SET n = ? WHERE id = ?")
		if err != nil {
			tb.Fatal(err)
		}
		return func(i int) error { _, err := stmt.Exec(i, i%rowsInTable+1); return err }
	}},
	{"query-row-prepared", func(tb testing.TB, db *sql.DB) func(int) error {
		stmt, err := db.Prepare("SELECT name FROM t WHERE id = ?")
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { stmt.Close() })
		var name string
		return func(i int) error { return stmt.QueryRow(i%rowsInTable + 1).Scan(&name) }
	}},
	{"query-row", func(tb testing.TB, db *sql.DB) func(int) error {
		var name string
		return func(i int) error {
			return db.QueryRow("SELECT name FROM t WHERE id = ?", i%rowsInTable+1).Scan(&name)
		}
	}},
	{"query-row-cancellable", func(tb testing.TB, db *sql.DB) func(int) error {
		ctx := cancellable(tb)
		var name string
		return func(i int) error {
			return db.QueryRowContext(ctx, "SELECT name FROM t WHERE id = ?", i%rowsInTable+1).Scan(&name)
		}
	}},
	{"exec", func(tb testing.TB, db *sql.DB) func(int) error {
		return func(i int) error {
			_, err := db.Exec("UPDATE t SET n = ? WHERE id = ?", i, i%rowsInTable+1)
			return err
		}
	}},
	{"exec-cancellable", func(tb testing.TB, db *sql.DB) func(int) error {
		ctx := cancellable(tb)
		return func(i int) error {
			_, err := db.ExecContext(ctx, "UPDATE t SET n = ? WHERE id = ?", i, i%rowsInTable+1)
			return err
		}
	}},
	// Values in the text: no two alike, so nothing is to be gained by keeping them.
	{"query-row-literal", func(tb testing.TB, db *sql.DB) func(int) error {
		var name string
		n := 0
		return func(i int) error {
			n++
			return db.QueryRow(fmt.Sprintf("SELECT name FROM t WHERE id = %d AND n < %d", i%rowsInTable+1, rowsInTable+n)).Scan(&name)
		}
	}},
	{"exec-literal", func(tb testing.TB, db *sql.DB) func(int) error {
		n := 0
		return func(i int) error {
			n++
			_, err := db.Exec(fmt.Sprintf("UPDATE t SET n = %d WHERE id = %d", -n, i%rowsInTable+1))
			return err
		}
	}},
	{"scan-1000", func(tb testing.TB, db *sql.DB) func(int) error {
		var id, n int64
		var name string
		return func(i int) error {
			rows, err := db.Query("SELECT id, name, n FROM t LIMIT 1000")
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				if err := rows.Scan(&id, &name, &n); err != nil {
					return err
				}
			}
			return rows.Err()
		}
	}},
	{"scan-1000-of-5", scanAll("SELECT id, name, n, price, at FROM wide LIMIT 1000", func() []any {
		return []any{new(int64), new(string), new(int64), new(float64), new(time.Time)}
	})},
	{"scan-1000-of-1", scanAll("SELECT n FROM t LIMIT 1000", func() []any { return []any{new(int64)} })},
	{"scan-1000-raw", scanAll("SELECT id, name, n FROM t LIMIT 1000", func() []any {
		return []any{new(sql.RawBytes), new(sql.RawBytes), new(sql.RawBytes)}
	})},
	{"scan-100-of-30", scanAll("SELECT "+strings.Repeat("id, name, n, ", 9)+"id, name, n FROM t LIMIT 100", func() []any {
		var dest []any
		for range 10 {
			dest = append(dest, new(int64), new(string), new(int64))
		}
		return dest
	})},
	{"blob-1MB", scanAll("SELECT body FROM blobs WHERE id = 1", func() []any { return []any{new([]byte)} })},
	{"scan-10", scanAll("SELECT id, name, n FROM t WHERE id BETWEEN 100 AND 109", func() []any { return []any{new(int64), new(string), new(int64)} })},
	{"scan-1000-join", scanAll("SELECT a.id, b.name, wide.at FROM t a JOIN t b ON b.id = a.n JOIN wide ON wide.id = a.n LIMIT 1000", func() []any { return []any{new(int64), new(string), new(time.Time)} })},
	{"scan-1000-in-tx", func(tb testing.TB, db *sql.DB) func(int) error {
		tx, err := db.Begin()
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { tx.Rollback() })
		return scanRows(tx.Query, "SELECT id, name, n, price, at FROM wide LIMIT 1000", []any{new(int64), new(string), new(int64), new(float64), new(time.Time)})
	}},
	{"tx", func(tb testing.TB, db *sql.DB) func(int) error {
		return insertInTx(context.Background(), db)
	}},
	{"tx-cancellable", func(tb testing.TB, db *sql.DB) func(int) error {
		return insertInTx(cancellable(tb), db)
	}},
	{"prepare-and-close", func(tb testing.TB, db *sql.DB) func(int) error {
		return func(int) error {
			stmt, err := db.Prepare("SELECT name FROM t WHERE id = ?")
			if err != nil {
				return err
			}
			return stmt.Close()
		}
	}},
}

// scanAll reads all rows of a query into the same places.
func scanAll(query string, dest func() []any) operation {
	return func(tb testing.TB, db *sql.DB) func(int) error {
		return scanRows(db.Query, query, dest())
	}
}

func scanRows(do func(string, ...any) (*sql.Rows, error), query string, dest []any) func(int) error {
	return func(int) error {
		rows, err := do(query)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := rows.Scan(dest...); err != nil {
				return err
			}
		}
		return rows.Err()
	}
}

func cancellable(tb testing.TB) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	tb.Cleanup(cancel)
	return ctx
}

func insertInTx(ctx context.Context, db *sql.DB) func(int) error {
	return func(i int) error {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(ctx, "UPDATE t SET n = ? WHERE id = ?", i, i%rowsInTable+1); err != nil {
			return err
		}
		return tx.Commit()
	}
}

// slice is how long one driver runs within an iteration.
const slice = 4 * time.Millisecond

func BenchmarkCalls(b *testing.B) {
	for _, op := range operations {
		b.Run("op="+op.name, func(b *testing.B) {
			dir := tempDir(b)
			runs := make([]func(int) error, len(variants))
			for v, variant := range variants {
				db := openPool(b, variant.driver, filepath.Join(dir, fmt.Sprint(v, ".sqlite3")), variant.params)
				fill(b, db, rowsInTable)
				runs[v] = op.make(b, db)
			}
			n := calibrate(b, runs[0])
			times := make([][]float64, len(variants))
			counted := make([]counts, len(variants))
			round := 0
			for b.Loop() {
				for i := range variants {
					v := (i + round) % len(variants) // each in each place
					took, c := measure(b, runs[v], n)
					times[v] = append(times[v], took)
					counted[v] = c
				}
				round++
			}
			report(b, times, counted)
		})
	}
}

func calibrate(b *testing.B, run func(int) error) int {
	for n := 1; ; n *= 2 {
		if took, _ := measure(b, run, n); took*float64(n) > float64(slice)/2 {
			return n
		}
	}
}

// counts are of one operation.
type counts struct{ mallocs, cgo float64 }

// measure returns the nanoseconds of one operation, and what can be counted.
func measure(b *testing.B, run func(int) error, n int) (ns float64, _ counts) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cgo := runtime.NumCgoCall()
	start := time.Now()
	for i := range n {
		if err := run(i); err != nil {
			b.Fatal(err)
		}
	}
	took := time.Since(start)
	cgo = runtime.NumCgoCall() - cgo
	runtime.ReadMemStats(&after)
	return float64(took.Nanoseconds()) / float64(n),
		counts{float64(after.Mallocs-before.Mallocs) / float64(n), float64(cgo) / float64(n)}
}

func report(b *testing.B, times [][]float64, counts []counts) {
	index := map[string]int{}
	for i, v := range variants {
		index[v.name] = i
	}
	ratios := func(a, over string) []float64 {
		var out []float64
		for i, t := range times[index[a]] {
			out = append(out, t/times[index[over]][i])
		}
		slices.Sort(out)
		return out
	}
	at := func(sorted []float64, q float64) float64 { return sorted[int(q*float64(len(sorted)-1))] }
	median := func(v []float64) float64 { return at(slices.Sorted(slices.Values(v)), 0.5) }
	b.ReportMetric(0, "ns/op") // of all drivers together: says nothing
	b.ReportMetric(at(ratios("hotswap", "raw"), 0.5), "hotswap/raw")
	b.ReportMetric(at(ratios("hotswap", "cached"), 0.5), "hotswap/cached")
	b.ReportMetric(at(ratios("sqlmw", "raw"), 0.5), "sqlmw/raw")
	b.ReportMetric(at(ratios("sqlmw-only", "raw"), 0.5), "sqlmw-only/raw")
	b.ReportMetric(at(ratios("raw again", "raw"), 0.1), "A/A-p10")
	b.ReportMetric(at(ratios("raw again", "raw"), 0.9), "A/A-p90")
	b.ReportMetric(median(times[index["hotswap"]]), "ns")
	b.ReportMetric(median(times[index["raw"]]), "raw-ns")
	b.ReportMetric(counts[index["hotswap"]].mallocs, "allocs")
	b.ReportMetric(counts[index["raw"]].mallocs, "raw-allocs")
	b.ReportMetric(counts[index["hotswap"]].cgo, "cgo")
	b.ReportMetric(counts[index["raw"]].cgo, "raw-cgo")
}
