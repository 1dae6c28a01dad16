package sockserver

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"hotswap/internal/testenv"
	hotunix "hotswap/internal/unix"
	"hotswap/swapper"
)

// TestTheLatestBackupIsFoundWithoutARecord: a push that was killed leaves its backup
// without one, and so does any push where there are no extended attributes.
func TestTheLatestBackupIsFoundWithoutARecord(t *testing.T) {
	if !testenv.Apart(t) {
		return
	}
	for name, test := range map[string]struct {
		order    []swapper.BackupNames
		bare     []int // which of them have no record
		expected string
	}{
		"the later one":          {[]swapper.BackupNames{swapper.BackupSimple, swapper.BackupNumbered}, []int{1}, ".~1~"},
		"the earlier one":        {[]swapper.BackupNames{swapper.BackupSimple, swapper.BackupNumbered}, []int{0}, ".~1~"},
		"none has":               {[]swapper.BackupNames{swapper.BackupSimple, swapper.BackupNumbered}, []int{0, 1}, ".~1~"},
		"none of three has":      {[]swapper.BackupNames{swapper.BackupSimple, swapper.BackupNumbered, swapper.BackupNumbered}, []int{0, 1, 2}, ".~2~"},
		"the later is simple":    {[]swapper.BackupNames{swapper.BackupNumbered, swapper.BackupSimple}, []int{1}, "~"},
		"the earlier is not":     {[]swapper.BackupNames{swapper.BackupNumbered, swapper.BackupSimple}, []int{0}, "~"},
		"none has, a simple one": {[]swapper.BackupNames{swapper.BackupNumbered, swapper.BackupSimple}, []int{0, 1}, "~"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t)
			openDatabase(t, dir+"/db", 3)
			makeDatabase(t, dir+"/new", 5)
			content, err := os.ReadFile(dir + "/new")
			if err != nil {
				t.Fatal(err)
			}
			c := newTestClient(t, startServer(t, dir, Config{}, nil))
			for i, as := range test.order {
				r, err := c.Push(t.Context(), TheDatabase, bytes.NewReader(content), PushParams{BackupAs: as})
				if err != nil {
					t.Fatal(err)
				}
				for _, bare := range test.bare {
					if bare == i {
						if err := unix.Removexattr(r.BackupPath, "user.hotswap.replaced"); err != nil && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP) {
							t.Fatal(err)
						}
					}
				}
				awaitTick(t, dir, r.BackupPath)
			}
			if got := latestBackup(dir + "/db"); got != dir+"/db"+test.expected {
				t.Errorf("got %s", got)
			}
		})
	}
}

// awaitTick returns when a file that is made now is seen to be later than the one at path:
// the clock of a file system has steps.
func awaitTick(t testing.TB, dir, path string) {
	t.Helper()
	for {
		if err := os.WriteFile(dir+"/tick", []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := hotunix.ChangeTime(path)
		now, nowErr := hotunix.ChangeTime(dir + "/tick")
		if err := errors.Join(err, nowErr); err != nil {
			t.Fatal(err)
		}
		if now.After(before) {
			return
		}
	}
}
