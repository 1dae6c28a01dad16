package main

import (
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// TestPullsToOneFile at the same time each put a whole copy there, and none removes what
// another is about to put.
func TestPullsToOneFileAtTheSameTime(t *testing.T) {
	dir, _ := program(t)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 10 {
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
