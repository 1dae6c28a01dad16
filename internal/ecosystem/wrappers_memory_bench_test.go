package ecosystem

import (
	"bytes"
	"database/sql"
	sqldriver "database/sql/driver"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

// manyConnections is how many share what a process takes for the first of them.
const manyConnections = 200

// envMeasure has the test's program be one whose memory is measured: "raw" or "ours".
const envMeasure = "HOTSWAP_ECOSYSTEM_MEASURE"

// BenchmarkMemoryWrapped measures what a process takes for each of many connections that
// have run a statement, with this driver inside as against go-sqlite3, each in a process
// of its own: resident memory, and of that Go's heap.
func BenchmarkMemoryWrapped(b *testing.B) {
	if mode := os.Getenv(envMeasure); mode != "" {
		measure(b, os.Getenv(envMeasure+"_WRAPPER"), mode)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(withNone())) {
		b.Run(name, func(b *testing.B) {
			var resident, heap [2]float64
			for range b.N {
				for i, mode := range []string{"raw", "ours"} {
					cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkMemoryWrapped$", "-test.benchtime=1x")
					cmd.Env = append(os.Environ(), envMeasure+"="+mode, envMeasure+"_WRAPPER="+name)
					out, err := cmd.CombinedOutput()
					if err != nil {
						b.Fatalf("%v\n%s", err, out)
					}
					_, said, _ := bytes.Cut(out, []byte("measured "))
					var r, h float64
					if _, err := fmt.Fscan(bytes.NewReader(said), &r, &h); err != nil {
						b.Fatalf("%v\n%s", err, out)
					}
					resident[i] += r
					heap[i] += h
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(resident[0]/float64(b.N), "raw-resident-B")
			b.ReportMetric(resident[1]/resident[0], "x-resident")
			b.ReportMetric(heap[0]/float64(b.N), "raw-heap-B")
			b.ReportMetric(heap[1]/heap[0], "x-heap")
		})
	}
}

// withNone has the wrappers, and a pool without any.
func withNone() map[string]func(string, sqldriver.Driver, string) (*sql.DB, error) {
	all := maps.Clone(wrappers)
	all["none"] = func(name string, _ sqldriver.Driver, path string) (*sql.DB, error) { return sql.Open(name, path) }
	return all
}

// measure prints what a connection takes of this process.
func measure(b *testing.B, wrapper, mode string) {
	name, d := driver.Name, sqldriver.Driver(driver.New())
	if mode == "raw" {
		name, d = "sqlite3", &sqlite3.SQLiteDriver{}
	}
	db, err := withNone()[wrapper](name, d, filepath.Join(b.TempDir(), "live.db")+"?_journal=WAL&_sync=OFF")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO notes VALUES (1, 'written')"); err != nil {
		b.Fatal(err)
	}
	var before, after [2]int
	conns := make([]*sql.Conn, manyConnections)
	for i := range conns {
		if i == 1 { // the first has what all share
			before = memory(b)
		}
		if conns[i], err = db.Conn(b.Context()); err != nil {
			b.Fatal(err)
		}
		defer conns[i].Close()
		var body string
		if err := conns[i].QueryRowContext(b.Context(), "SELECT body FROM notes WHERE id = ?", 1).Scan(&body); err != nil {
			b.Fatal(err)
		}
	}
	after = memory(b)
	fmt.Printf("measured %d %d\n", (after[0]-before[0])/(manyConnections-1), (after[1]-before[1])/(manyConnections-1))
}

// memory returns the process's resident memory and Go's live heap, in bytes.
func memory(b *testing.B) [2]int {
	b.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Fatal(err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		b.Fatal(err)
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return [2]int{resident * os.Getpagesize(), int(stats.HeapAlloc)}
}
