package ecosystem

import (
	"database/sql"
	sqldriver "database/sql/driver"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

// BenchmarkWrapped measures, for each driver around another one and for none, what a call
// takes with this driver inside as against go-sqlite3, the two taking turns: time, heap
// allocations, and descriptors of eight connections.
func BenchmarkWrapped(b *testing.B) {
	all := withNone()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, query := range []string{
			"SELECT body FROM notes WHERE id = ?",
			"UPDATE notes SET body = body WHERE id = ?",
		} {
			b.Run(name+"/"+query[:6], func(b *testing.B) {
				raw := newWrapped(b, all[name], "sqlite3", &sqlite3.SQLiteDriver{}, query)
				ours := newWrapped(b, all[name], driver.Name, driver.New(), query)
				var took [2]time.Duration
				for range b.N {
					for i, w := range []*wrapped{raw, ours} {
						began := time.Now()
						for range 100 {
							w.call()
						}
						took[i] += time.Since(began)
					}
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(took[0].Nanoseconds())/float64(b.N)/100, "raw-ns")
				b.ReportMetric(float64(took[1])/float64(took[0]), "x-time")
				b.ReportMetric(testing.AllocsPerRun(100, ours.call)/testing.AllocsPerRun(100, raw.call), "x-allocs")
				b.ReportMetric(float64(ours.descriptors)/float64(raw.descriptors), "x-descriptors")
			})
		}
	}
}

// wrapped is a pool with eight connections, of which one is used.
type wrapped struct {
	call        func()
	descriptors int
}

func newWrapped(b *testing.B, open func(string, sqldriver.Driver, string) (*sql.DB, error), name string, d sqldriver.Driver, query string) *wrapped {
	b.Helper()
	path := filepath.Join(b.TempDir(), "live.db")
	before := descriptors(b)
	db, err := open(name, d, path+"?_journal=WAL&_sync=OFF")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	db.SetMaxIdleConns(8)
	if _, err := db.Exec("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO notes VALUES (1, 'written')"); err != nil {
		b.Fatal(err)
	}
	conns := make([]*sql.Conn, 8)
	for i := range conns {
		if conns[i], err = db.Conn(b.Context()); err != nil {
			b.Fatal(err)
		}
		var n int
		if err := conns[i].QueryRowContext(b.Context(), "SELECT count(*) FROM notes").Scan(&n); err != nil {
			b.Fatal(err)
		}
	}
	w := &wrapped{descriptors: descriptors(b) - before}
	for _, c := range conns {
		c.Close()
	}
	w.call = func() {
		rows, err := db.Query(query, 1)
		if err != nil {
			b.Fatal(err)
		}
		for rows.Next() {
		}
		if err := rows.Close(); err != nil {
			b.Fatal(err)
		}
	}
	return w
}

func descriptors(b *testing.B) int {
	b.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		b.Fatal(err)
	}
	return len(list)
}
