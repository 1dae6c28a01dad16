package bench

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"hotswap/driver"
)

var (
	large     = flag.Bool("large", false, "also run the benchmarks on 1 GB, and the command's on 400 MB and 2 GB")
	sampleDir = flag.String("samples", "", "make the databases that are copied and checked in this `directory`, and leave them for the next run")
	recordDir = flag.String("record", "", "write what BenchmarkTimeline and BenchmarkPause see to this `directory`, as CSV for bench/plot")
)

// TestMain is also the entry of the child process that the restarts of
// BenchmarkPeers stop and start, and of those that BenchmarkTogether pushes to. Of the benchmarks nothing may be left at the
// end: no goroutine, no child process, no managed database, no file.
func TestMain(m *testing.M) {
	if path := os.Getenv(serverEnv); path != "" {
		os.Exit(serve(path))
	}
	if text := os.Getenv(togetherEnv); text != "" {
		if err := beTogether(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if text := os.Getenv(idleEnv); text != "" {
		if err := beIdle(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code := m.Run()
	if err := errors.Join(removeSamples(), leftovers()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func leftovers() error {
	err := goleak.Find()
	if n := len(driver.Databases()); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d databases are still managed", n))
	}
	if _, e := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); !errors.Is(e, syscall.ECHILD) {
		err = errors.Join(err, errors.New("a child process is left"))
	}
	return err
}
