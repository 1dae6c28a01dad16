package drivers

import (
	"encoding/csv"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

var recordDir = flag.String("record", "", "add what was measured to drivers.csv in this `directory`, for bench/plot")

// results are the nanoseconds of one call, by driver and iteration.
type results struct {
	op    string
	times [][]float64
}

func newResults(op string) *results { return &results{op, make([][]float64, len(drivers))} }

func (r *results) add(d int, ns float64) { r.times[d] = append(r.times[d], ns) }

// report gives each driver's ratio to raw, the median of the iterations with the 10th and the
// 90th percentile, and its median time.
func (r *results) report(b *testing.B) {
	b.ReportMetric(0, "ns/op") // of all drivers together: says nothing
	records := [][]string{}
	for d, v := range drivers {
		var ratios []float64
		for i, t := range r.times[d] {
			ratios = append(ratios, t/r.times[0][i])
		}
		slices.Sort(ratios)
		ns := quantile(slices.Sorted(slices.Values(r.times[d])), 0.5)
		record := []string{r.op, v.name}
		for _, value := range []float64{quantile(ratios, 0.5), quantile(ratios, 0.1), quantile(ratios, 0.9), ns} {
			record = append(record, strconv.FormatFloat(value, 'g', 4, 64))
		}
		records = append(records, record)
		b.ReportMetric(ns, v.name+"-ns")
		if d > 0 {
			b.ReportMetric(quantile(ratios, 0.5), v.name+"/raw")
		}
	}
	if *recordDir != "" {
		if err := record(*recordDir, records); err != nil {
			b.Error(err)
		}
	}
}

func quantile(sorted []float64, q float64) float64 { return sorted[int(q*float64(len(sorted)-1))] }

// record adds to what other benchmarks, or an earlier run of them, wrote.
func record(dir string, records [][]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "drivers.csv"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return err
	} else if info.Size() == 0 {
		records = slices.Insert(records, 0, []string{"call", "driver", "over raw", "p10", "p90", "ns"})
	}
	return csv.NewWriter(f).WriteAll(records)
}
