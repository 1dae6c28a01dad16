package bench

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hotswap/driver"
	"hotswap/swapper"
)

// setting is one place in the space of pauses.
type setting struct {
	pool             int
	readers, writers int
	sizeMB           int
	tables           int
	journal          string
	disk, sync       string
	paced            bool // readers and writers rest between their calls, so that processors are spare
}

// base is what all others vary in one respect.
var base = setting{pool: 10, sizeMB: 1, tables: 2, journal: "WAL", disk: "tmpfs", sync: "OFF"}

func (s setting) with(change func(*setting)) setting {
	change(&s)
	return s
}

var recordedPauses = recording{name: "pause.csv", rows: [][]string{{"setting", "pause_ms"}}}

// BenchmarkPause pushes again and again over a pool, and reports the pause.
func BenchmarkPause(b *testing.B) {
	defer recordedPauses.write(b)
	for _, pool := range []int{1, 10, 100} {
		for _, load := range []struct {
			name             string
			readers, writers int
		}{{"idle", 0, 0}, {"readers", 8, 0}, {"writers", 8, 2}} {
			b.Run(fmt.Sprintf("pool=%d/load=%s", pool, load.name), func(b *testing.B) {
				pause(b, base.with(func(s *setting) { s.pool, s.readers, s.writers = pool, load.readers, load.writers }))
			})
		}
	}
	for _, mb := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("size=%dMB", mb), func(b *testing.B) {
			if mb == 1000 && !*large {
				b.Skip("only with -large")
			}
			pause(b, base.with(func(s *setting) { s.sizeMB = mb }))
		})
	}
	for _, tables := range []int{2, 50, 500} {
		b.Run(fmt.Sprintf("tables=%d", tables), func(b *testing.B) {
			pause(b, base.with(func(s *setting) { s.tables = tables }))
		})
	}
	for _, journal := range []string{"WAL", "DELETE"} {
		b.Run("journal="+journal, func(b *testing.B) {
			pause(b, base.with(func(s *setting) { s.journal, s.readers = journal, 8 }))
		})
	}
	for _, fs := range []string{"tmpfs/OFF", "disk/NORMAL", "disk/FULL"} {
		disk, sync, _ := strings.Cut(fs, "/")
		b.Run(fmt.Sprintf("fs=%s/sync=%s", disk, sync), func(b *testing.B) {
			pause(b, base.with(func(s *setting) { s.disk, s.sync, s.readers, s.writers = disk, sync, 8, 2 }))
		})
	}
	b.Run("fs=disk/sync=NORMAL/load=paced", func(b *testing.B) {
		pause(b, base.with(func(s *setting) { s.disk, s.sync, s.readers, s.writers, s.paced = "disk", "NORMAL", 8, 2, true }))
	})
	for _, mb := range []int{2, 200} {
		b.Run(fmt.Sprintf("fs=disk/sync=NORMAL/size=%dMB", mb), func(b *testing.B) {
			pause(b, base.with(func(s *setting) { s.disk, s.sync, s.sizeMB, s.readers, s.writers = "disk", "NORMAL", mb, 4, 1 }))
		})
	}
	b.Run("fs=disk/sync=NORMAL/journal=DELETE", func(b *testing.B) {
		pause(b, base.with(func(s *setting) { s.disk, s.sync, s.journal, s.readers, s.writers = "disk", "NORMAL", "DELETE", 8, 2 }))
	})
}

func pause(b *testing.B, s setting) {
	dir := b.TempDir()
	if s.disk == "tmpfs" {
		dir = tempDir(b)
	}
	path := filepath.Join(dir, "live.sqlite3")
	db, err := sql.Open(driver.Name, fmt.Sprintf("file:%s?_journal=%s&_sync=%s&_txlock=immediate", path, s.journal, s.sync))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxIdleConns(s.pool)
	db.SetMaxOpenConns(max(s.pool, s.readers+s.writers))
	fill(b, db, rowsInTable)
	for i := 2; i < s.tables; i++ {
		exec(b, db, fmt.Sprintf("CREATE TABLE t%d (id INTEGER PRIMARY KEY, a TEXT, b TEXT); CREATE INDEX i%d ON t%d (a, b)", i, i, i))
	}
	exec(b, db, fmt.Sprintf("CREATE TABLE filler AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i, zeroblob(1000000) FROM n", s.sizeMB-1))
	warm(b, db, s.pool)
	live, ok := driver.Lookup(path)
	if !ok {
		b.Fatal("not managed")
	}
	var image bytes.Buffer
	if _, err := swapper.Pull(context.Background(), live, &image, swapper.PullOptions{}); err != nil {
		b.Fatal(err)
	}
	stop := startLoad(func(err error) { b.Error(err) }, db, s)
	var pauses, writes []time.Duration
	for b.Loop() {
		r, err := swapper.Push(context.Background(), live, bytes.NewReader(image.Bytes()), swapper.PushOptions{SkipIntegrityCheck: true})
		if err != nil {
			b.Fatal(err)
		}
		pauses, writes = append(pauses, r.Pause), append(writes, r.WritesPause)
	}
	stop()
	for _, p := range pauses {
		recordedPauses.add(b.Name(), fmt.Sprint(milliseconds(p)))
	}
	report := func(d []time.Duration, of string) {
		slices.Sort(d)
		at := func(q float64) float64 { return milliseconds(d[int(q*float64(len(d)-1))]) }
		b.ReportMetric(at(0.5), of+"-p50-ms")
		b.ReportMetric(at(0.99), of+"-p99-ms")
		b.ReportMetric(at(1), of+"-max-ms")
	}
	report(pauses, "pause")
	report(writes, "writes")
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		b.Errorf("left behind: %v", left)
	}
}

func exec(tb testing.TB, db *sql.DB, query string) {
	tb.Helper()
	if _, err := db.Exec(query); err != nil {
		tb.Fatal(err)
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

func startLoad(fail func(error), db *sql.DB, s setting) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	loop := func(rest time.Duration, f func(i int) error) {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := f(i); err != nil {
					fail(err)
					return
				}
				if s.paced {
					time.Sleep(rest)
				}
			}
		})
	}
	for range s.readers {
		var name string
		loop(time.Millisecond, func(i int) error {
			return db.QueryRow("SELECT name FROM t WHERE id = ?", i%rowsInTable+1).Scan(&name)
		})
	}
	for range s.writers {
		loop(5*time.Millisecond, insertInTx(context.Background(), db))
	}
	return func() { cancel(); wg.Wait() }
}

// BenchmarkWaitBehindAReport measures the longest wait of other calls while a
// push waits for Rows that stay open, and is refused at last.
func BenchmarkWaitBehindAReport(b *testing.B) {
	db, err := sql.Open(driver.Name, "file:"+filepath.Join(tempDir(b), "live.sqlite3")+"?_journal=WAL&_sync=OFF")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	fill(b, db, rowsInTable)
	live := driver.Databases()[0]
	var image bytes.Buffer
	if _, err := swapper.Pull(context.Background(), live, &image, swapper.PullOptions{}); err != nil {
		b.Fatal(err)
	}
	rows, err := db.Query("SELECT id FROM t -- the report")
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	rows.Next()
	var longest time.Duration
	var name string
	for b.Loop() {
		done := make(chan error, 1)
		go func() {
			_, err := swapper.Push(context.Background(), live, bytes.NewReader(image.Bytes()),
				swapper.PushOptions{SkipIntegrityCheck: true, Timeout: 2 * time.Second})
			done <- err
		}()
		for calling := true; calling; {
			select {
			case <-done:
				calling = false
			default:
				start := time.Now()
				if err := db.QueryRow("SELECT name FROM t WHERE id = 5").Scan(&name); err != nil {
					b.Fatal(err)
				}
				longest = max(longest, time.Since(start))
			}
		}
	}
	b.ReportMetric(float64(longest.Microseconds())/1000, "longest-wait-ms")
}
