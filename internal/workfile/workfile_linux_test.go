package workfile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hotswap/internal/unix"
	"hotswap/internal/workfile"
)

// TestAFileThatIsTakenForALeftoverIsMadeAnew: between its creation and its lock another
// process may find the file unlocked, and lock it to remove it.
func TestAFileThatIsTakenForALeftoverIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	stop, stopped := make(chan struct{}), make(chan int)
	go func() {
		removed := 0
		for {
			select {
			case <-stop:
				stopped <- removed
				return
			default:
			}
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				name := filepath.Join(dir, e.Name())
				f, err := os.Open(name)
				if err != nil {
					continue
				}
				if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
					os.Remove(name)
					removed++
				}
				f.Close()
			}
		}
	}()
	for i, end := 0, time.Now().Add(200*time.Millisecond); time.Now().Before(end); i++ {
		n := 0
		f, err := workfile.Create(func() string { n++; return filepath.Join(dir, fmt.Sprintf("%d-%d", i, n)) }, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(f.Name()); err != nil {
			t.Fatalf("%s is gone: %v", f.Name(), err)
		}
		os.Remove(f.Name())
		f.Close()
	}
	close(stop)
	t.Logf("%d files were taken for leftovers", <-stopped)
}
