package drivers

import (
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
)

const (
	writers     = 8
	busyTimeout = 5 * time.Second
	writingTime = 100 * time.Millisecond // of one driver within an iteration
)

// BenchmarkWriters has 8 goroutines that update in transactions which begin with the write
// lock, without rests. What counts as the time of a call is the writers' time by what all of
// them committed.
func BenchmarkWriters(b *testing.B) {
	dir := tempDir(b)
	crews := make([][]func(int) error, len(drivers))
	for d := range drivers {
		crews[d] = hire(b, d, filepath.Join(dir, strconv.Itoa(d)+".sqlite3"))
	}
	r := newResults("writers")
	took := make([][]float64, len(drivers))
	inTurn(b, func(d int) {
		latencies, err := write(crews[d])
		if err != nil {
			b.Fatal(drivers[d].name, ": ", err)
		}
		r.add(d, float64(writingTime)/float64(len(latencies)))
		took[d] = append(took[d], latencies...)
	})
	r.report(b)
	for d, v := range drivers[1:] {
		sorted := slices.Sorted(slices.Values(took[d+1]))
		b.ReportMetric(quantile(sorted, 0.5)/1e3, v.name+"-p50-us")
		b.ReportMetric(quantile(sorted, 0.99)/1e6, v.name+"-p99-ms")
		b.ReportMetric(sorted[len(sorted)-1]/1e6, v.name+"-max-ms")
	}
}

// hire returns the writers of a driver: on connections of their own, or on a pool.
func hire(b *testing.B, d int, path string) (crew []func(int) error) {
	if drivers[d].registered == "" {
		var conns []*sqlite.Conn
		for range writers {
			conns = append(conns, openConn(b, path))
		}
		for _, q := range schema {
			if err := step(conns[0].Prep(q)); err != nil {
				b.Fatal(err)
			}
		}
		for _, conn := range conns {
			crew = append(crew, func(i int) error { return between(conn, "BEGIN IMMEDIATE", i) })
		}
		return crew
	}
	db := openPool(b, drivers[d].registered, drivers[d].dsn, path, "immediate")
	db.SetMaxIdleConns(writers)
	for _, q := range schema {
		if _, err := db.Exec(q); err != nil {
			b.Fatal(err)
		}
	}
	for range writers {
		crew = append(crew, func(i int) error { return updateInTx(db, i) })
	}
	return crew
}

// write returns the nanoseconds that each call took.
func write(crew []func(int) error) (latencies []float64, err error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	end := time.Now().Add(writingTime)
	for w, run := range crew {
		wg.Go(func() {
			var own []float64
			var failed error
			for i := w; failed == nil; i += len(crew) {
				start := time.Now()
				if start.After(end) {
					break
				}
				failed = run(i)
				own = append(own, float64(time.Since(start)))
			}
			mu.Lock()
			defer mu.Unlock()
			latencies = append(latencies, own...)
			if failed != nil {
				err = failed
			}
		})
	}
	wg.Wait()
	return latencies, err
}
