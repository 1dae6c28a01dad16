package testapp

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
	"strings"
	"sync"
	"testing"
	"time"

	"hotswap/internal/testenv"
	"hotswap/sockserver"
	"hotswap/swapper"
)

var soak = flag.Duration("soak", time.Duration(testenv.Sample(1, 3))*time.Second, "how long TestSoak pushes, pulls and fails")

// TestSoak pushes good files and bad ones by both methods, cancels pushes at
// moments of chance, has clients vanish in the midst of theirs, and pulls all the
// while, some of them into writers that fail.
//
//	go test -race -run Soak ./internal/testapp -soak=10m
func TestSoak(t *testing.T) {
	if !alone(t) {
		return
	}
	f := Fixture{Size: 1 << 20, JournalMode: "wal"}
	dir, err := os.MkdirTemp("", "soak") // t.TempDir makes a path too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "soak.sock")
	r := startRun(t, f, Config{Socket: &Socket{Path: socket}})
	client := sockserver.NewClient(sockserver.ClientConfig{SocketPath: socket})
	defer client.Close()
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
	var pushes, refused, cancelled, vanished int
	methods := map[swapper.Method]int{}
	var longest, longestInPlace time.Duration
	count := func(report swapper.Report) {
		pushes++
		methods[report.Method]++
		if report.Method == swapper.MethodInPlace {
			longestInPlace = max(longestInPlace, report.Pause)
		} else {
			longest = max(longest, report.Pause)
		}
	}
	for ctx.Err() == nil && !t.Failed() {
		next := r.fixture(f, r.svc.Database().Generation()+1)
		opts := r.options()
		opts.Method = []swapper.Method{swapper.MethodAuto, swapper.MethodRename, swapper.MethodInPlace}[rand.N(3)]
		switch rand.N(6) {
		case 0:
			bad := filepath.Join(r.scratch, "bad.db")
			if err := Spoil(t.Context(), next, bad, Damages()[rand.N(len(Damages()))]); err != nil {
				t.Fatal(err)
			}
			report, err := r.whenFree(func() (swapper.Report, error) { return r.push(bad, "", opts) })
			wantBadDatabase(t, "a spoilt file", report, err)
			os.Remove(bad)
			refused++
		case 1:
			report, err := r.whenFree(func() (swapper.Report, error) {
				return r.pushCancelled(next, opts, rand.N(60*time.Millisecond))
			})
			if report.Swapped {
				count(report)
			} else if cancelled++; !errors.Is(err, context.Canceled) {
				t.Errorf("a cancelled push: %v", err)
			}
		case 2:
			body, err := os.ReadFile(next)
			if err != nil {
				t.Fatal(err)
			}
			vanishing, vanish := context.WithCancel(t.Context())
			src := io.MultiReader(bytes.NewReader(body[:rand.N(len(body))]), vanishingReader{vanish})
			if report, err := client.Push(vanishing, "database", src, sockserver.PushParams{Method: opts.Method}); err == nil || report.Swapped {
				t.Errorf("a client that vanished: %+v, %v", report, err)
			}
			vanished++
		default:
			report, err := r.whenFree(func() (swapper.Report, error) { return r.push(next, "", opts) })
			if err != nil {
				t.Error(err)
			}
			count(report)
		}
	}
	wg.Wait()
	after := descriptorsAndHeap(t)
	r.stopLoads()
	total := r.svc.Meter().Total()
	verdict := r.finish()
	t.Logf("%d pushes %v, %d refused, %d cancelled, %d clients vanished, %d pulls, %d that failed; longest pause %v, in place %v",
		pushes, methods, refused, cancelled, vanished, pulls, failedPulls, longest, longestInPlace)
	t.Logf("calls: %+v; %+v", total, verdict)
	t.Logf("before %+v, after %+v", before, after)
}

// whenFree pushes, once the server has given up the push of a client that
// vanished.
func (r *run) whenFree(push func() (swapper.Report, error)) (report swapper.Report, err error) {
	r.t.Helper()
	for r.t.Context().Err() == nil {
		report, err = push()
		if !errors.Is(err, swapper.ErrBusy) || !strings.Contains(err.Error(), "another push") {
			return report, err
		}
		time.Sleep(time.Millisecond)
	}
	return report, err
}

// vanishingReader is a source whose client vanishes when it is read.
type vanishingReader struct{ vanish func() }

func (v vanishingReader) Read([]byte) (int, error) {
	v.vanish()
	return 0, context.Canceled
}

// pushCancelled pushes with a context that ends after a while.
func (r *run) pushCancelled(file string, opts swapper.PushOptions, after time.Duration) (swapper.Report, error) {
	r.t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	defer cancel()
	defer time.AfterFunc(after, cancel).Stop()
	start := time.Now()
	report, err := swapper.Push(ctx, r.svc.Database(), bytes.NewReader(body), opts)
	if report.Swapped {
		err = errors.Join(err, r.trail.Replaced(report, "", start, time.Now()))
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
