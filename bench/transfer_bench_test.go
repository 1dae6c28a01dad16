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

// BenchmarkTransfer moves a database over the disk, durable at the end of each
// way, and compares the ways with cp and sync.
func BenchmarkTransfer(b *testing.B) {
	for _, mb := range sampleSizes() {
		b.Run(fmt.Sprintf("push/size=%dMB", mb), func(b *testing.B) { benchmarkPush(b, sample(b, mb)) })
		b.Run(fmt.Sprintf("pull/size=%dMB", mb), func(b *testing.B) { benchmarkPull(b, sample(b, mb)) })
	}
}

func benchmarkPush(b *testing.B, src string) {
	dir := b.TempDir()
	live := managedCopy(b, src, dir)
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
	ways := []contender{
		{"cp", copyAndSync(src, filepath.Join(dir, "copy.sqlite3"))},
		{"push", push(swapper.PushOptions{SkipIntegrityCheck: true})},
		{"push-in-place", push(swapper.PushOptions{SkipIntegrityCheck: true, Method: swapper.MethodInPlace})},
		{"push-quick", push(swapper.PushOptions{Quick: true})},
		{"push-checked", push(swapper.PushOptions{})},
	}
	if shell(b) {
		target := filepath.Join(dir, "restored.sqlite3")
		ways = append(ways, contender{"shell-restore", func() error { return command("sqlite3", target, ".restore '"+src+"'") }})
	}
	compare(b, ways, src)
}

func benchmarkPull(b *testing.B, src string) {
	dir := b.TempDir()
	live := managedCopy(b, src, dir)
	target := filepath.Join(dir, "pulled.sqlite3")
	ways := []contender{
		{"cp", copyAndSync(src, target)},
		{"pull", func() error {
			f, err := os.Create(target)
			if err != nil {
				return err
			}
			_, err = swapper.Pull(context.Background(), live, f, swapper.PullOptions{})
			return errors.Join(err, f.Sync(), f.Close(), os.Remove(target))
		}},
	}
	if shell(b) {
		// On the live file, which other connections have open, as a script would.
		inShell := func(statement string) func() error {
			return func() error {
				return errors.Join(command("sqlite3", live.Path(), statement), command("sync", target), os.Remove(target))
			}
		}
		ways = append(ways,
			contender{"shell-backup", inShell(".backup '" + target + "'")},
			contender{"shell-vacuum", inShell("VACUUM INTO '" + target + "'")})
	}
	compare(b, ways, src)
}

func copyAndSync(src, target string) func() error {
	return func() error {
		return errors.Join(command("cp", src, target), command("sync", target), os.Remove(target))
	}
}

// managedCopy makes a copy of src the live database of an idle pool.
func managedCopy(b *testing.B, src, dir string) *driver.Database {
	b.Helper()
	path := filepath.Join(dir, "live.sqlite3")
	if err := command("cp", src, path); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open(driver.Name, "file:"+path+"?_journal=WAL")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	if err := db.Ping(); err != nil {
		b.Fatal(err)
	}
	live, ok := driver.Lookup(path)
	if !ok {
		b.Fatal("not managed")
	}
	return live
}

// compare runs all contenders within each iteration, each in each place, and
// reports of each the median of its speeds and of its ratios to the first.
func compare(b *testing.B, ways []contender, file string) {
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	times := make([][]float64, len(ways))
	for round := 0; b.Loop(); round++ {
		for i := range ways {
			w := (i + round) % len(ways)
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
