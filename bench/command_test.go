package bench

import (
	"fmt"
	osexec "os/exec"
	"testing"
)

// command runs a program to its end, as a script would.
func command(name string, args ...string) error {
	if out, err := osexec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %q: %w: %s", name, args, err, out)
	}
	return nil
}

// shell reports whether SQLite's shell is there to compare with; where it is
// not, a skipped sub-benchmark says so.
func shell(b *testing.B) bool {
	_, err := osexec.LookPath("sqlite3")
	if err != nil {
		b.Run("shell", func(b *testing.B) { b.Skip("the sqlite3 shell is not installed: nothing of it to compare with") })
	}
	return err == nil
}
