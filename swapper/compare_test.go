package swapper_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"hotswap/internal/sqlitefile"
	"hotswap/internal/testenv"
)

// writtenBytes returns how many bytes this process has written.
func writtenBytes(t *testing.T) (n int64) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		testenv.Skip(t, "this system does not count what a process writes")
	}
	for line := range strings.Lines(string(b)) {
		if _, err := fmt.Sscanf(line, "wchar: %d", &n); err == nil {
			return n
		}
	}
	t.Fatalf("%s", b)
	return 0
}

// TestAPushInPlaceWritesWhatDiffers, and not what is the same already: here the pages of
// one row in a thousand, of 9 MB.
func TestAPushInPlaceWritesWhatDiffers(t *testing.T) {
	for _, mode := range []string{"WAL", "DELETE"} {
		t.Run(mode, func(t *testing.T) {
			s := start(t, t.TempDir(), "&_journal="+mode)
			data := sourceWith(t, "new", 9<<20)
			s.mustPush(data, inPlace)
			s.exec("UPDATE items SET filler = x'01' WHERE id = 500") // the live one alone
			old := contentOf(t, data)
			before := writtenBytes(t)
			s.mustPush(data, inPlace)
			wrote := writtenBytes(t) - before
			if digest(t, s.pool) != old {
				t.Error("the live content is not what was pushed")
			}
			// The stage is written in any case.
			if most := int64(len(data)) + 1<<20; wrote > most {
				t.Errorf("%d bytes were written for a stage of %d", wrote, len(data))
			}
			if n := sqlitefile.WALSize(s.path); n > 1<<20 {
				t.Errorf("the WAL has %d bytes", n)
			}
		})
	}
}

// TestPagesThatOnlyTheLogHasAreComparedToo: the file has what is pushed, and the log is
// of another opinion.
func TestPagesThatOnlyTheLogHasAreComparedToo(t *testing.T) {
	s := start(t, t.TempDir(), "&_journal=WAL")
	s.exec("PRAGMA wal_autocheckpoint=0")
	data := sourceWith(t, "new", 1<<20)
	s.mustPush(data, inPlace)
	s.exec("PRAGMA wal_checkpoint(TRUNCATE)")
	s.exec("UPDATE items SET stamp = 'old', filler = randomblob(9000) WHERE id % 3 = 0")
	s.mustPush(data, inPlace)
	if digest(t, s.pool) != contentOf(t, data) {
		t.Error("the live content is not what was pushed")
	}
}
