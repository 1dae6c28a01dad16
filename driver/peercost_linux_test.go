package driver_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"hotswap/driver"
	"hotswap/internal/testenv"
)

// cost is what a process uses.
type cost struct {
	descriptors, goroutines int
	heap                    int64
}

// costNow is the least of several looks: finalizers may be late.
func costNow(t *testing.T) (least cost) {
	t.Helper()
	for i := range 10 {
		runtime.GC()
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		now := cost{len(open), runtime.NumGoroutine(), int64(m.HeapAlloc)}
		if i == 0 {
			least = now
		}
		least = cost{min(least.descriptors, now.descriptors), min(least.goroutines, now.goroutines), min(least.heap, now.heap)}
	}
	return least
}

func (c cost) since(before cost) cost {
	return cost{c.descriptors - before.descriptors, c.goroutines - before.goroutines, c.heap - before.heap}
}

// In a network namespace of its own no process of another test asks this one anything.
func TestWhatAPeerCostsDoesNotDependOnHowManyDatabasesItHas(t *testing.T) {
	if os.Geteuid() != 0 {
		testenv.Skip(t, "a network namespace takes root")
	}
	t.Parallel()
	if !testenv.Alone(t, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}) {
		return
	}
	const most = 10_000
	dir := t.TempDir()
	manage := func(n int) (release func()) {
		t.Helper()
		var all []func()
		for i := range n {
			_, release, err := driver.Manage(filepath.Join(dir, fmt.Sprint(i)))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, release)
		}
		return func() {
			for _, release := range all {
				release()
			}
		}
	}
	used := map[string]map[int]cost{"off": {}, "on": {}}
	manage(most)() // what the first use of anything takes, and no later one
	for _, peers := range []string{"off", "on"} {
		os.Setenv("HOTSWAP_PEERS", peers)
		for _, n := range []int{1, most} {
			before := costNow(t)
			release := manage(n)
			c := costNow(t).since(before)
			c.heap = max(c.heap, 0) // less than nothing is what was released before
			used[peers][n] = c
			release()
		}
	}
	for _, n := range []int{1, most} {
		c := used["on"][n].since(used["off"][n])
		t.Logf("with %d databases a peer costs %d descriptors, %d goroutines, %d KiB", n, c.descriptors, c.goroutines, c.heap>>10)
		if c.descriptors > 2 || c.goroutines > 1 {
			t.Errorf("%d descriptors and %d goroutines; want at most 2 and 1", c.descriptors, c.goroutines)
		}
		if c.heap > 64<<10 {
			t.Errorf("%d bytes; want 64 KiB at most", c.heap)
		}
	}
}
