package app

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"hotswap/swapper"
)

var soak = flag.Duration("soak", 3*time.Second, "how long TestSoak pushes, pulls and fails")

// TestSoak pushes good files and bad ones, cancels pushes at moments of chance,
// and pulls all the while, some of them into writers that fail.
//
//	go test -race -run Soak ./internal/testapp/app -soak=10m
func TestSoak(t *testing.T) {
	f := Fixture{Size: 1 << 20, JournalMode: "wal"}
	r := startRun(t, f, Config{})
	r.load(LoadConfig{Readers: 4, Writers: 3})
	before := descriptorsAndHeap(t)
	ctx, cancel := context.WithTimeout(t.Context(), *soak)
	defer cancel()

	var pulls, failedPulls int
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if _, err := swapper.Pull(t.Context(), r.svc.Database(), io.Discard, swapper.PullOptions{}); err != nil {
				t.Error(err)
			}
			if _, err := swapper.Pull(t.Context(), r.svc.Database(), fullWriter{}, swapper.PullOptions{}); err == nil {
				t.Error("a pull into a writer that fails succeeded")
			}
			pulls, failedPulls = pulls+1, failedPulls+1
		}
	})
	var pushes, refused, cancelled int
	var longest time.Duration
	for ctx.Err() == nil && !t.Failed() {
		next := r.fixture(f, r.svc.Database().Generation()+1)
		switch rand.N(4) {
		case 0:
			bad := filepath.Join(r.scratch, "bad.db")
			if err := Spoil(t.Context(), next, bad, Damages()[rand.N(len(Damages()))]); err != nil {
				t.Fatal(err)
			}
			report, err := r.push(bad, "", r.options())
			wantBadDatabase(t, "a spoilt file", report, err)
			os.Remove(bad)
			refused++
		case 1:
			report, err := r.pushCancelled(next, rand.N(60*time.Millisecond))
			if report.Swapped {
				pushes++
			} else if cancelled++; !errors.Is(err, context.Canceled) {
				t.Errorf("a cancelled push: %v", err)
			}
			longest = max(longest, report.Pause)
		default:
			report, err := r.push(next, "", r.options())
			if err != nil {
				t.Error(err)
			}
			longest = max(longest, report.Pause)
			pushes++
		}
	}
	wg.Wait()
	after := descriptorsAndHeap(t)
	r.stopLoads()
	total := r.svc.Meter().Total()
	verdict := r.finish()
	t.Logf("%d pushes, %d refused, %d cancelled, %d pulls, %d that failed; longest pause %v", pushes, refused, cancelled, pulls, failedPulls, longest)
	t.Logf("calls: %+v; %+v", total, verdict)
	t.Logf("before %+v, after %+v", before, after)
}

// pushCancelled pushes with a context that ends after a while.
func (r *run) pushCancelled(file string, after time.Duration) (swapper.Report, error) {
	r.t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	defer time.AfterFunc(after, cancel).Stop()
	start := time.Now()
	report, err := swapper.Push(ctx, r.svc.Database(), bytes.NewReader(body), r.options())
	if report.Swapped {
		err = errors.Join(err, r.trail.Replaced(report.BackupPath, "", report.Generation, start, time.Now()))
		if err != nil {
			r.t.Error(err)
		}
	}
	return report, err
}

// fullWriter takes nothing.
type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

type resources struct {
	descriptors int
	heapMB      uint64
}

func descriptorsAndHeap(t *testing.T) resources {
	t.Helper()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return resources{0, m.HeapAlloc >> 20}
	}
	return resources{len(fds), m.HeapAlloc >> 20}
}
