package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestABackupIsACopyWhereAFileHasOneNameOnly: exFAT, some of FUSE, SMB.
func TestABackupIsACopyWhereAFileHasOneNameOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "copy.sqlite3")
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	old, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	d := &fileDestination{path: path, old: old}
	copied, err := d.copyOld()
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	name := copied.Name()
	data, err := os.ReadFile(name)
	if err != nil || string(data) != "old" {
		t.Errorf("%q, %v", data, err)
	}
	if made, err := os.Stat(name); err != nil || made.Mode() != old.Mode() || os.SameFile(made, old) {
		t.Errorf("%v, %v", made, err)
	}
}
