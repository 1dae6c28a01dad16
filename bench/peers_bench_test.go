package bench

import (
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// peer is a program with a live database that has one way to replace it.
type peer interface {
	// caller returns the calls of one worker of the program.
	caller(kind) (call func(int) (seen, error), close func())
	// swap makes a database like image the live one, for every call to come.
	swap(image string) error
	close() error
}

// way is a way to replace a live database.
type way struct {
	name  string
	crew  [kinds]int
	start func(path string) (peer, error)
	sound bool // nothing may go wrong
}

var ways = []way{
	{"hotswap", crew, startHotswap, true},
	{"rwmutex", crew, startLocked, false},
	{"rwmutex-without-nesting", without(nested), startLocked, false},
	{"backup-api", crew, startBackup, false},
	{"restart", crew, startRestarted, false},
	{"restart-keeping-the-socket", crew, startActivated, false},
}

func without(k kind) [kinds]int {
	c := crew
	c[k] = 0
	return c
}

const (
	peerRows = 1000
	peerMB   = 100
)

// BenchmarkPeers swaps again and again under the same program, in each of the
// ways, and reports what the program's calls felt of it.
func BenchmarkPeers(b *testing.B) {
	for _, way := range ways {
		b.Run("way="+way.name, func(b *testing.B) {
			reportTraffic(b, swapUnderTraffic(b, way, rest))
		})
	}
}

// swapUnderTraffic makes each iteration a swap and a rest.
func swapUnderTraffic(b *testing.B, w way, rest time.Duration) *traffic {
	dir := tempDir(b)
	images := newImages(b, dir)
	p := startPeer(b, w.start, images, dir)
	t := startTraffic(images.generation, w.crew, p.caller)
	defer t.stop()
	time.Sleep(rest)
	for b.Loop() {
		image := images.next(b)
		if err := t.swap(images.generation, func() error { return p.swap(image) }); err != nil {
			b.Fatal(err)
		}
		time.Sleep(rest)
	}
	t.stop()
	if w.sound {
		demandSound(b, t)
	}
	return t
}

func startPeer(b *testing.B, start func(string) (peer, error), images *images, dir string) peer {
	b.Helper()
	path := filepath.Join(dir, "live.sqlite3")
	if err := copyFile(images.path, path); err != nil {
		b.Fatal(err)
	}
	p, err := start(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.close(); err != nil {
			b.Error(err)
		}
	})
	return p
}

func reportTraffic(b *testing.B, t *traffic) {
	var failed, old, mixed [kinds]float64
	var after [kinds]float64 // calls that began after the first swap
	for _, c := range t.calls {
		if c.start > t.swaps[0].end {
			after[c.kind]++
		}
		count := func(n *[kinds]float64, is bool) {
			if is {
				n[c.kind]++
			}
		}
		count(&failed, c.failed)
		count(&old, c.old)
		count(&mixed, c.mixed)
	}
	b.ReportMetric(0, "ns/op") // with the rests between: says nothing
	stalls := t.stalls()
	b.ReportMetric(quantile(stalls, 0.5), "stall-p50-ms")
	b.ReportMetric(quantile(stalls, 0.99), "stall-p99-ms")
	b.ReportMetric(quantile(stalls, 1), "stall-max-ms")
	b.ReportMetric(quantile(t.calm(), 0.5), "calm-p50-ms")
	swaps := float64(len(t.swaps))
	var all float64
	for k := range kinds {
		all += failed[k]
		if failed[k] > 0 {
			b.ReportMetric(failed[k]/swaps, fmt.Sprintf("failed-%s/swap", k))
		}
		if old[k] > 0 {
			b.ReportMetric(100*old[k]/after[k], fmt.Sprintf("old-%s-%%", k))
		}
		if mixed[k] > 0 {
			b.ReportMetric(mixed[k]/swaps, fmt.Sprintf("mixed-%s/swap", k))
		}
	}
	b.ReportMetric(all/swaps, "failed/swap")
}

// demandSound fails the benchmark for the first call that was not as promised.
func demandSound(b *testing.B, t *traffic) {
	for _, err := range t.errors {
		if err != nil {
			b.Error(err)
		}
	}
	for _, c := range t.calls {
		if c.old || c.mixed {
			b.Errorf("a %s saw the wrong database: %+v", c.kind, c)
			return
		}
	}
}

// images makes the databases to swap in: each says its generation in every row.
type images struct {
	path       string
	generation int64
}

func newImages(b *testing.B, dir string) *images {
	b.Helper()
	s := &images{path: filepath.Join(dir, "image.sqlite3"), generation: 1}
	db := s.open(b)
	defer db.Close()
	exec(b, db, "CREATE TABLE t (id INTEGER PRIMARY KEY, gen INTEGER NOT NULL, n INTEGER NOT NULL)")
	exec(b, db, fmt.Sprintf("WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM i WHERE n < %d) INSERT INTO t SELECT n, 1, 0 FROM i", peerRows+50))
	exec(b, db, fmt.Sprintf("CREATE TABLE filler AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i, zeroblob(1000000) FROM n", peerMB))
	return s
}

func (s *images) open(b *testing.B) *sql.DB {
	b.Helper()
	// In WAL mode, so that no way has to convert what it opens.
	db, err := sql.Open("sqlite3", "file:"+s.path+"?_journal=WAL&_sync=OFF")
	if err != nil {
		b.Fatal(err)
	}
	return db
}

// next makes the image one of the next generation; no connection is left on it.
func (s *images) next(b *testing.B) string {
	b.Helper()
	s.generation++
	db := s.open(b)
	defer db.Close()
	exec(b, db, fmt.Sprintf("UPDATE t SET gen = %d", s.generation))
	return s.path
}

// copyFile copies durably, as every way must that ends in a rename.
func copyFile(src, dst string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(dst)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Sync()
}
