package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"hotswap/internal/testenv"
)

func TestAFileThatIsReplacedAllTheTimeIsFoundAndCanBeKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "copy.db")
	put := func(name string) {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Error(err)
		}
		if err := os.Rename(name, path); err != nil {
			t.Error(err)
		}
	}
	put(filepath.Join(dir, "first"))
	var group sync.WaitGroup
	var enough atomic.Bool
	for i := range 2 {
		group.Go(func() {
			for !enough.Load() {
				put(filepath.Join(dir, fmt.Sprint("new", i)))
			}
		})
	}
	for i := range 2000 {
		if _, err := realName(path); err != nil {
			t.Errorf("the %dth time: %v", i, err)
		}
		kept := filepath.Join(dir, fmt.Sprint("kept", i))
		if err := linkReplaced(path, kept); err != nil {
			t.Errorf("the %dth time: %v", i, err)
		}
		os.Remove(kept)
	}
	enough.Store(true)
	group.Wait()
}

// TestPullsToOneFile at the same time each put a whole copy there, and none removes what
// another is about to put.
func TestPullsToOneFileAtTheSameTime(t *testing.T) {
	t.Parallel()
	dir, _ := program(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range testenv.Sample(4, 10) {
				cmd := exec.Command("hotswap", "cp", "-q", "--backup=numbered", "--keep=3", "live.db", "copy.db")
				cmd.Dir = dir
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			}
		})
	}
	group.Wait()
	if left, err := filepath.Glob(filepath.Join(dir, ".copy*")); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}
