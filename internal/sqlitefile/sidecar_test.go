package sqlitefile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/internal/sqlitefile"
)

func TestOnlyAWALOrAJournalWithContentIsPending(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.db")
	for _, step := range []struct {
		suffix, content, pending string
		size                     int64
	}{
		{"", "a database", "", 0},
		{"-shm", "an index", "", 0},
		{"-wal", "", "", 0},
		{"-journal", "a journal", "-journal", 9},
		{"-wal", "a WAL", "-wal", 14},
	} {
		if err := os.WriteFile(path+step.suffix, []byte(step.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := sqlitefile.Pending(path); err != nil || got != step.pending {
			t.Errorf("with %q in %q: %q, %v", step.content, step.suffix, got, err)
		}
		if got := sqlitefile.PendingSize(path); got != step.size {
			t.Errorf("with %q in %q: %d bytes", step.content, step.suffix, got)
		}
	}
	if got := sqlitefile.WALSize(path); got != 5 {
		t.Errorf("the WAL has %d bytes", got)
	}
}

// Its sidecars' names are too long to exist.
func TestAFileWithTheLongestNameHasNoSidecars(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("n", 255))
	if got, err := sqlitefile.Pending(path); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got := sqlitefile.WALSize(path); got != 0 {
		t.Errorf("%d bytes", got)
	}
}
