// Package testenv is about what a test needs of the machine it runs on: its
// tools and rights, its other processes, and its time.
package testenv

import (
	"os"
	"testing"
)

// Skip skips a test that this machine can't run. In CI that is a failure: there
// every test must run.
func Skip(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("in CI this test must run: "+format, args...)
	}
	t.Skipf(format, args...)
}
