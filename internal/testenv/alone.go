package testenv

import (
	"flag"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// alone names the test that a process was started for: see Alone.
const alone = "HOTSWAP_TEST_ALONE"

// Alone runs the test in a process of its own, with the same flags but for those of
// package testing, and reports whether this is that process: for a test that looks
// at what its whole process has, its descriptors or its goroutines, or changes it,
// and so has the others beside it all the same.
func Alone(t *testing.T, attr *syscall.SysProcAttr) bool {
	t.Helper()
	if os.Getenv(alone) == t.Name() {
		return true
	}
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v"}
	flag.Visit(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") {
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	dir, err := os.MkdirTemp("", "hs") // not t.TempDir, whose path leaves no room for a socket's
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), alone+"="+t.Name(), "TMPDIR="+dir)
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	return false
}

// Apart is Alone for a test that runs beside the others meanwhile, as it could not in
// their process: it sets variables of the environment, say.
func Apart(t *testing.T) bool {
	t.Helper()
	if os.Getenv(alone) == t.Name() {
		return true
	}
	t.Parallel()
	return Alone(t, nil)
}
