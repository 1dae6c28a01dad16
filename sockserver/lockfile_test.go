package sockserver

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestALockFileThatIsSomethingElseIsRefused: the owner's pid is written into it.
func TestALockFileThatIsSomethingElseIsRefused(t *testing.T) {
	dir := t.TempDir()
	other, link, fifo := filepath.Join(dir, "other"), filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	if err := os.WriteFile(other, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(other, link); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, fifo} {
		if l, err := lockSocket(path); err == nil {
			l.release()
			t.Errorf("%s was taken for a lock file", path)
		}
	}
	if data, err := os.ReadFile(other); err != nil || string(data) != "kept" {
		t.Errorf("the other file: %q, %v", data, err)
	}
}
