package testenv

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/internal/openers"
)

// WithSQLite makes a program that copies its input, as cat does, and looks as if an SQLite
// of that version were in it, of a source of that time: "2022-12-28 14:03:47".
func WithSQLite(t testing.TB, number, source string) string {
	t.Helper()
	cat, err := exec.LookPath("cat")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(cat)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "other")
	id := source + " " + strings.Repeat("0123456789abcdef", 4)
	if err := os.WriteFile(name, append(code, "\x00"+number+"\x00"+id+"\x00"...), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

// StartWith starts a program that has a file open, as the shell opens it by that operator,
// "<" or "<>", and answers a line with that line.
func StartWith(t testing.TB, program, operator, file string) *Child {
	t.Helper()
	child := Start(t, exec.Command("sh", "-c", `exec 3`+operator+`"$2"; exec "$1"`, "sh", program, file))
	if _, err := child.In.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	child.Line()
	Until(t, "it counts as a program of its own", func() bool { return !openers.IsPreExec(child.Process.Pid) })
	return child
}
