package swapper_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"hotswap/internal/testenv"
	"hotswap/swapper"
)

// hintedCommand finds the command that a message ends with.
var hintedCommand = regexp.MustCompile(`: sqlite3 FILE "([^"]*)"$`)

func TestAFileThatIsTooLongSaysByHowMuchAndWhatMendsIt(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "&_journal=WAL")
	good := source(t, "new")
	uncounted := bytes.Clone(good)
	uncounted[92]++ // the header's count of pages is not valid any more
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"preallocated space": {append(bytes.Clone(good), make([]byte, 1<<20)...), "and 1048576 more follow them"},
		"a tail":             {append(bytes.Clone(good), "-- twenty-five more bytes"...), "and 25 more follow them"},
		"a tail, uncounted":  {append(uncounted, "-- twenty-five more bytes"...), fmt.Sprintf("%d pages of 4096 bytes, and 25 bytes more", len(good)/4096)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.push(c.data, swapper.PushOptions{})
			if !errors.Is(err, swapper.ErrBadDatabase) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "is truncated") {
				t.Fatalf("got %v", err)
			}
			command := hintedCommand.FindStringSubmatch(err.Error())
			if command == nil {
				t.Fatalf("no command in %v", err)
			}
			if _, err := exec.LookPath("sqlite3"); err != nil {
				testenv.Skip(t, "there is no sqlite3 shell")
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "long.sqlite3"), c.data, 0o600); err != nil {
				t.Fatal(err)
			}
			shell := exec.Command("sqlite3", "long.sqlite3", command[1])
			shell.Dir = dir
			if out, err := shell.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			mended, err := os.ReadFile(filepath.Join(dir, "new.sqlite3"))
			if err != nil {
				t.Fatal(err)
			}
			s.mustPush(mended, swapper.PushOptions{})
			if s.stamp() != "new" {
				t.Error(s.stamp())
			}
		})
	}
}

func TestAFileThatIsCutSaysHowMuchIsMissing(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "")
	good := source(t, "new")
	for _, missing := range []int{1, 25, 4096, 5000} {
		_, err := s.push(good[:len(good)-missing], swapper.PushOptions{})
		if says := fmt.Sprintf("truncated: %d of its %d bytes are missing", missing, len(good)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%d bytes less: %v", missing, err)
		}
	}
}
