package bench

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"

	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/swapper"
)

// BenchmarkPause pushes a small database over a pool under load.
func BenchmarkPause(b *testing.B) {
	for _, pool := range []int{1, 10, 100} {
		for _, load := range []struct {
			name             string
			readers, writers int
		}{{"idle", 0, 0}, {"readers", 8, 0}, {"writers", 8, 2}} {
			b.Run(fmt.Sprintf("pool=%d/load=%s", pool, load.name), func(b *testing.B) {
				dir := tempDir(b)
				path := filepath.Join(dir, "live.sqlite3")
				db := openPool(b, driver.Name, path, "&_txlock=immediate")
				db.SetMaxIdleConns(pool)
				db.SetMaxOpenConns(max(pool, load.readers+load.writers))
				fill(b, db, rowsInTable)
				warm(b, db, pool)
				live, ok := driver.Lookup(path)
				if !ok {
					b.Fatal("not managed")
				}
				var image bytes.Buffer
				if _, err := swapper.Pull(context.Background(), live, &image, swapper.PullOptions{}); err != nil {
					b.Fatal(err)
				}
				stop := startLoad(b, db, load.readers, load.writers)
				var pauses []time.Duration
				for b.Loop() {
					r, err := swapper.Push(context.Background(), live, bytes.NewReader(image.Bytes()),
						swapper.PushOptions{SkipIntegrityCheck: true})
					if err != nil {
						b.Fatal(err)
					}
					pauses = append(pauses, r.Pause)
				}
				stop()
				slices.Sort(pauses)
				at := func(q float64) float64 {
					return float64(pauses[int(q*float64(len(pauses)-1))].Microseconds()) / 1000
				}
				b.ReportMetric(at(0.5), "pause-p50-ms")
				b.ReportMetric(at(0.99), "pause-p99-ms")
				b.ReportMetric(at(1), "pause-max-ms")
				if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
					b.Errorf("left behind: %v", left)
				}
			})
		}
	}
}

// warm opens n connections at once, so that the pool has them all.
func warm(b *testing.B, db *sql.DB, n int) {
	conns := make([]*sql.Conn, n)
	for i := range conns {
		var err error
		if conns[i], err = db.Conn(context.Background()); err != nil {
			b.Fatal(err)
		}
		var one int
		if err := conns[i].QueryRowContext(context.Background(), "SELECT n FROM t WHERE id = 1").Scan(&one); err != nil {
			b.Fatal(err)
		}
	}
	for _, c := range conns {
		c.Close()
	}
}

func startLoad(b *testing.B, db *sql.DB, readers, writers int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	loop := func(f func(i int) error) {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := f(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	for range readers {
		var name string
		loop(func(i int) error {
			return db.QueryRow("SELECT name FROM t WHERE id = ?", i%rowsInTable+1).Scan(&name)
		})
	}
	for range writers {
		write := insertInTx(context.Background(), db)
		loop(write)
	}
	return func() { cancel(); wg.Wait() }
}
