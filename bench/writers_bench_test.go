package bench

import (
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/driver"
)

// writersSlice is how long one driver runs within an iteration: longer than the longest
// sleep of SQLite's busy handler.
const writersSlice = 400 * time.Millisecond

// readersRest is that of a reader before each call. Without any, eight leave the two
// processors of a small machine to nobody else.
const readersRest = 500 * time.Microsecond

// The drivers under comparison; the second and the third are the same.
var writersVariants = []struct{ name, driver, params string }{
	{"raw", "sqlite3", ""},
	{"cached", "sqlite3", "&_stmt_cache_size=64"},
	{"cached again", "sqlite3", "&_stmt_cache_size=64"},
	{"hotswap", driver.Name, ""},
}

// crowds is who writes, all the time.
var crowds = []struct {
	name             string
	writers, readers int
	params           string
	make             operation
}{
	{"immediate", 8, 0, "&_txlock=immediate", updateInTx},
	{"deferred", 8, 0, "", updateInTx},
	{"autocommit", 8, 0, "", update},
	{"returning", 8, 0, "", updateReturning},
	{"immediate-and-readers", 2, 8, "&_txlock=immediate", updateInTx},
	{"autocommit-and-readers", 2, 8, "", update},
	{"one", 1, 0, "", update},
}

// Each call writes another value: SQLite writes no page that stays as it is.
func update(_ testing.TB, db *sql.DB) func(int) error {
	return func(i int) error {
		_, err := db.Exec("UPDATE t SET n = n + 1 WHERE id = ?", i%rowsInTable+1)
		return err
	}
}

func updateReturning(_ testing.TB, db *sql.DB) func(int) error {
	return func(i int) error {
		var n int
		return db.QueryRow("UPDATE t SET n = n + 1 WHERE id = ? RETURNING n", i%rowsInTable+1).Scan(&n)
	}
}

func updateInTx(_ testing.TB, db *sql.DB) func(int) error {
	return func(i int) error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.Exec("UPDATE t SET n = n + 1 WHERE id = ?", i%rowsInTable+1); err != nil {
			return err
		}
		return tx.Commit()
	}
}

func read(_ testing.TB, db *sql.DB) func(int) error {
	return func(i int) error {
		var name string
		return db.QueryRow("SELECT name FROM t WHERE id = ?", i%rowsInTable+1).Scan(&name)
	}
}

// BenchmarkWriters has several goroutines write the same database at once.
func BenchmarkWriters(b *testing.B) {
	places := []struct {
		name, params string
		dir          func(testing.TB) string
	}{
		{"tmpfs", "&_sync=OFF", tempDir},
		{"disk-normal", "&_sync=NORMAL", func(tb testing.TB) string { return tb.TempDir() }},
		{"disk-full", "&_sync=FULL", func(tb testing.TB) string { return tb.TempDir() }},
	}
	for _, place := range places {
		for _, crowd := range crowds {
			b.Run("on="+place.name+"/writers="+crowd.name, func(b *testing.B) {
				dir := place.dir(b)
				pools := make([]*sql.DB, len(writersVariants))
				for v, variant := range writersVariants {
					db, err := sql.Open(variant.driver, "file:"+filepath.Join(dir, fmt.Sprint(v, ".sqlite3"))+"?_journal=WAL"+place.params+crowd.params+variant.params)
					if err != nil {
						b.Fatal(err)
					}
					b.Cleanup(func() { db.Close() })
					db.SetMaxIdleConns(crowd.writers + crowd.readers)
					fill(b, db, rowsInTable)
					pools[v] = db
				}
				crowded := make([]crowdTimes, len(writersVariants))
				for round := 0; b.Loop(); round++ {
					for i := range pools {
						v := (i + round) % len(pools)
						writes, reads := crowdFor(b, pools[v], crowd.writers, crowd.readers, crowd.make)
						crowded[v].add(writes, reads)
					}
				}
				reportWriters(b, crowded)
			})
		}
	}
}

// crowdTimes is what became of the calls of one driver.
type crowdTimes struct {
	writes, reads         []time.Duration
	writeRates, readRates []float64 // per second, of each iteration
	busy                  int
}

// seenCalls is what became of the calls of one kind in one iteration.
type seenCalls struct {
	took []time.Duration
	busy int
	done int // in time
}

func (t *crowdTimes) add(writes, reads seenCalls) {
	t.writes = append(t.writes, writes.took...)
	t.reads = append(t.reads, reads.took...)
	t.writeRates = append(t.writeRates, float64(writes.done)/writersSlice.Seconds())
	t.readRates = append(t.readRates, float64(reads.done)/writersSlice.Seconds())
	t.busy += writes.busy + reads.busy
}

func crowdFor(b *testing.B, db *sql.DB, writers, readers int, write operation) (writes, reads seenCalls) {
	var over atomic.Bool
	var wg sync.WaitGroup
	var mu sync.Mutex
	call := func(op operation, n int, rest time.Duration, into *seenCalls) {
		for worker := range n {
			run := op(b, db)
			wg.Go(func() {
				var mine seenCalls
				for i := worker; !over.Load(); i += n {
					if rest > 0 {
						time.Sleep(rest)
					}
					start := time.Now()
					err := run(i)
					mine.took = append(mine.took, time.Since(start))
					var se sqlite3.Error
					switch {
					case errors.As(err, &se) && se.Code == sqlite3.ErrBusy:
						mine.busy++
					case err != nil:
						b.Error(err)
						return
					case !over.Load():
						mine.done++
					}
				}
				mu.Lock()
				defer mu.Unlock()
				into.took = append(into.took, mine.took...)
				into.busy += mine.busy
				into.done += mine.done
			})
		}
	}
	call(write, writers, 0, &writes)
	call(read, readers, readersRest, &reads)
	time.Sleep(writersSlice)
	over.Store(true)
	wg.Wait()
	return writes, reads
}

func reportWriters(b *testing.B, all []crowdTimes) {
	at := func(sorted []float64, q float64) float64 { return sorted[int(q*float64(len(sorted)-1))] }
	ratios := func(a, over []float64) []float64 {
		out := make([]float64, len(a))
		for i := range a {
			out[i] = a[i] / over[i]
		}
		slices.Sort(out)
		return out
	}
	raw, cached, again, ours := &all[0], &all[1], &all[2], &all[3]
	b.ReportMetric(0, "ns/op") // of all drivers together: says nothing
	for _, q := range []struct {
		name string
		q    float64
	}{{"", 0.5}, {"-p10", 0.1}, {"-p90", 0.9}} {
		b.ReportMetric(at(ratios(ours.writeRates, cached.writeRates), q.q), "hotswap/cached"+q.name)
	}
	b.ReportMetric(at(ratios(ours.writeRates, raw.writeRates), 0.5), "hotswap/raw")
	b.ReportMetric(at(ratios(again.writeRates, cached.writeRates), 0.1), "A/A-p10")
	b.ReportMetric(at(ratios(again.writeRates, cached.writeRates), 0.9), "A/A-p90")
	if len(ours.reads) > 0 {
		b.ReportMetric(at(ratios(ours.readRates, cached.readRates), 0.5), "reads-hotswap/cached")
	}
	for i, v := range writersVariants {
		if all[i].busy > 0 || v.name == "hotswap" {
			b.ReportMetric(float64(all[i].busy), v.name[:min(len(v.name), 7)]+"-busy")
		}
		if v.name == "cached again" {
			continue
		}
		for _, kind := range []struct {
			name string
			took []time.Duration
		}{{"", all[i].writes}, {"-reads", all[i].reads}} {
			if len(kind.took) == 0 {
				continue
			}
			slices.Sort(kind.took)
			us := func(q float64) float64 {
				return float64(kind.took[int(q*float64(len(kind.took)-1))]) / float64(time.Microsecond)
			}
			b.ReportMetric(us(0.5), v.name+kind.name+"-p50-µs")
			b.ReportMetric(us(0.99), v.name+kind.name+"-p99-µs")
			b.ReportMetric(us(1)/1000, v.name+kind.name+"-max-ms")
		}
	}
}
