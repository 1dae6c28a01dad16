package sqlitecode

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	sqlite3 "github.com/mattn/go-sqlite3"

	"hotswap/internal/testenv"
)

func TestAProgramWithGoSQLite3HasItsVersion(t *testing.T) {
	number, _, id := sqlite3.Version()
	// A program that is linked with the race detector, say, may have other numbers in it.
	if v := Of(os.Getpid()); v.Source == "" || !strings.HasPrefix(id, v.Source) || v.Number != "" && v.Number != number {
		t.Errorf("%+v; it is %s of %s", v, number, id)
	}
	if v := SourceID(number, id); v.Number != number || v.Source == "" {
		t.Errorf("%+v", v)
	}
}

func TestTheShellHasTheVersionThatItSays(t *testing.T) {
	says, err := exec.Command("sqlite3", "--version").Output()
	if err != nil {
		testenv.Skip(t, "there is no sqlite3: %v", err)
	}
	fields := strings.Fields(string(says)) // 3.40.1 2022-12-28 14:03:47 df5c25...
	v := Of(start(t, "SELECT 1;\n", "stdbuf", "-oL", "sqlite3", "-batch"))
	if v.Number != fields[0] || v.Source != fields[1]+" "+fields[2] {
		t.Errorf("%+v; it says %s", v, says)
	}
}

// TestOthersHaveNone, and a program that has taken the place of another has its own.
func TestOthersHaveNone(t *testing.T) {
	if v := Of(start(t, "\n", "cat")); v != (Version{}) {
		t.Errorf("cat has SQLite %v", v)
	}
	name := filepath.Join(t.TempDir(), "other")
	for _, source := range []string{"2022-12-28 14:03:47", "2021-06-18 18:36:39"} {
		if err := os.Rename(testenv.WithSQLite(t, "3.40.1", source), name); err != nil {
			t.Fatal(err)
		}
		for range 2 { // read, and remembered
			if v := Of(start(t, "\n", name)); v != (Version{"3.40.1", source}) {
				t.Errorf("%+v, of %s", v, source)
			}
		}
	}
	if v := Of(1 << 30); v != (Version{}) {
		t.Errorf("a process that is not there has SQLite %v", v)
	}
}

// start starts a program that answers a line of input with one, and returns its process
// when it has: its libraries are loaded by then.
func start(t *testing.T, line, name string, args ...string) int {
	t.Helper()
	child := testenv.Start(t, exec.Command(name, args...))
	if _, err := io.WriteString(child.In, line); err != nil {
		t.Fatal(err)
	}
	child.Line()
	return child.Process.Pid
}

func BenchmarkAProgramIsRead(b *testing.B) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	info, _ := f.Stat()
	b.SetBytes(info.Size())
	for b.Loop() {
		f.Seek(0, 0)
		if _, err := versionIn(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAProgramIsRemembered(b *testing.B) {
	for b.Loop() {
		if Of(os.Getpid()) == (Version{}) {
			b.Fatal("no version")
		}
	}
}
