package drivers

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// slice is how long raw runs within an iteration. The others get as many calls.
const slice = 4 * time.Millisecond

func BenchmarkCalls(b *testing.B) {
	for _, c := range calls {
		b.Run("op="+c.name, func(b *testing.B) {
			dir := tempDir(b)
			runs := make([]func(int) error, len(drivers))
			for d := range drivers {
				runs[d] = c.start(b, d, filepath.Join(dir, fmt.Sprint(d, ".sqlite3")))
			}
			n := calibrate(b, runs[0])
			for _, run := range runs {
				measure(b, run, n)
			}
			r := newResults(c.name)
			inTurn(b, func(d int) { r.add(d, measure(b, runs[d], n)) })
			r.report(b)
		})
	}
}

// inTurn runs all drivers in each iteration, in an order that is always another, and without
// the garbage of the one before.
func inTurn(b *testing.B, run func(d int)) {
	for b.Loop() {
		for _, d := range rand.Perm(len(drivers)) {
			runtime.GC()
			run(d)
		}
	}
}

// start opens a database of the driver's own, fills it, and prepares the call.
func (c call) start(b *testing.B, d int, path string) func(int) error {
	if drivers[d].registered == "" {
		conn := openConn(b, path)
		for _, q := range schema {
			if err := step(conn.Prep(q)); err != nil {
				b.Fatal(err)
			}
		}
		return c.zombiezen(b, conn)
	}
	db := openPool(b, drivers[d].registered, drivers[d].dsn, path, "deferred")
	for _, q := range schema {
		if _, err := db.Exec(q); err != nil {
			b.Fatal(err)
		}
	}
	return c.pool(b, db)
}

func calibrate(b *testing.B, run func(int) error) int {
	for n := 1; ; n *= 2 {
		if measure(b, run, n)*float64(n) > float64(slice)/2 {
			return n
		}
	}
}

// measure returns the nanoseconds of one call.
func measure(b *testing.B, run func(int) error, n int) float64 {
	start := time.Now()
	for i := range n {
		if err := run(i); err != nil {
			b.Fatal(err)
		}
	}
	return float64(time.Since(start)) / float64(n)
}
