package swapper_test

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"hotswap/internal/livefile"
	"hotswap/internal/testenv"
)

func TestADatabaseThatIsDamagedUnderItsConnectionsIsSeenByItsFirstPage(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		testenv.Skip(t, "it is seen on Linux only")
	}
	for name, c := range map[string]struct {
		harm func(f *os.File) error
		says string
	}{
		"sound":      {func(f *os.File) error { return nil }, ""},
		"the header": {func(f *os.File) error { _, err := f.WriteAt([]byte("rubbish rubbish rubbish "), 0); return err }, `it begins with "rubbish `},
		"the schema": {func(f *os.File) error { _, err := f.WriteAt([]byte("rubbish"), 100); return err }, "the page that its schema begins on"},
		"cut":        {func(f *os.File) error { return f.Truncate(8192) }, "it is truncated: its header says"},
		"emptied":    {func(f *os.File) error { return f.Truncate(60) }, "it has 60 bytes"},
	} {
		for _, mode := range []string{"WAL", "DELETE"} {
			t.Run(name+" "+mode, func(t *testing.T) {
				s := start(t, t.TempDir(), "&_journal="+mode)
				s.pool.SetMaxOpenConns(1)
				for range 50 { // as the program writes, nothing is wrong
					s.exec("INSERT INTO items (stamp, filler) VALUES ('live', zeroblob(5000))")
					if text := livefile.Unsound(s.path); text != "" {
						t.Fatal(text)
					}
				}
				if mode == "WAL" {
					s.exec("PRAGMA wal_checkpoint(TRUNCATE)")
				}
				f, err := os.OpenFile(s.path, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { f.Close() }) // not before, which would drop SQLite's locks
				if err := c.harm(f); err != nil {
					t.Fatal(err)
				}
				if got := livefile.Unsound(s.path); (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
					t.Errorf("got %q", got)
				}
			})
		}
	}
}
