package bench

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/swapper"
)

// contender is one of several ways to do the same.
type contender struct {
	name string
	run  func() error
}

// BenchmarkTransfer pushes from a reader and pulls to a writer, as a program does from its
// own code, and compares that with cp and sync.
func BenchmarkTransfer(b *testing.B) {
	for _, mb := range sampleSizes() {
		b.Run(fmt.Sprintf("size=%dMB", mb), func(b *testing.B) { benchmarkTransfer(b, sample(b, mb)) })
	}
}

func benchmarkTransfer(b *testing.B, src string) {
	dir := b.TempDir()
	live := managedCopy(b, src, dir, "WAL")
	target := filepath.Join(dir, "pulled.sqlite3")
	push := func(opts swapper.PushOptions) func() error {
		return func() error {
			f, err := os.Open(src)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = swapper.Push(context.Background(), live, f, opts)
			return err
		}
	}
	compare(b, []contender{
		{"cp", copyAndSync(src, filepath.Join(dir, "copy.sqlite3"))},
		{"push", push(swapper.PushOptions{SkipIntegrityCheck: true})},
		{"push-checked", push(swapper.PushOptions{})},
		{"pull", func() error {
			f, err := os.Create(target)
			if err != nil {
				return err
			}
			_, err = swapper.Pull(context.Background(), live, f, swapper.PullOptions{})
			return errors.Join(err, f.Sync(), f.Close(), os.Remove(target))
		}},
	}, src)
}

func copyAndSync(src, target string) func() error {
	return func() error {
		return errors.Join(command("cp", src, target), command("sync", target), os.Remove(target))
	}
}

// managedCopy makes a copy of src the live database of an idle pool, which has read it, as a
// program's has: with no lock of its own on the file, a connection of a push would be the
// last one, and move the log into the file when it is closed.
func managedCopy(b *testing.B, src, dir, journal string) *driver.Database {
	b.Helper()
	path := filepath.Join(dir, "live.sqlite3")
	if err := command("cp", src, path); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open(driver.Name, "file:"+path+"?_journal="+journal)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	var n int
	if err := db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&n); err != nil {
		b.Fatal(err)
	}
	live, ok := driver.Lookup(path)
	if !ok {
		b.Fatal("not managed")
	}
	return live
}

// compare runs all contenders within each iteration, each in each place, and reports of
// each the median of its speeds, and the median, the least and the greatest of its ratios
// to the first. Before each the file system is synced: what the last one has left for the
// disk to do, blocks to discard among it, would else be done within the next one's sync.
func compare(b *testing.B, ways []contender, file string) {
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	times := make([][]float64, len(ways))
	for round := 0; b.Loop(); round++ {
		for i := range ways {
			w := (i + round) % len(ways)
			if err := command("sync", "-f", file); err != nil {
				b.Fatal(err)
			}
			start := time.Now()
			if err := ways[w].run(); err != nil {
				b.Fatal(ways[w].name, ": ", err)
			}
			times[w] = append(times[w], time.Since(start).Seconds())
		}
	}
	b.ReportMetric(0, "ns/op") // of all together: says nothing
	for w, way := range ways {
		ratios := make([]float64, len(times[w]))
		for i, t := range times[w] {
			ratios[i] = t / times[0][i]
		}
		b.ReportMetric(float64(info.Size())/1e6/quantile(times[w], 0.5), way.name+"-MB/s")
		if w > 0 {
			b.ReportMetric(quantile(ratios, 0.5), way.name+"/"+ways[0].name)
			b.ReportMetric(quantile(ratios, 0), way.name+"-least")
			b.ReportMetric(quantile(ratios, 1), way.name+"-most")
		}
	}
}

// quantile leaves its argument as it is; of nothing it is 0.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1))]
}
