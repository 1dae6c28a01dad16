package testenv

import (
	"os"
	"testing"
)

// Sample is how many of something a test tries: few in an ordinary run, which is to
// be quick, and many where HOTSWAP_TEST_SAMPLES is "many", as in .ci/run.
func Sample(few, many int) int {
	if os.Getenv("HOTSWAP_TEST_SAMPLES") == "many" {
		return many
	}
	return few
}

// Long skips a test in an ordinary run, but not with HOTSWAP_TEST_SAMPLES=many.
func Long(t testing.TB) {
	t.Helper()
	Every(t, 1, 2)
}

// Every skips all but every few-th of the subtests of a loop, counted by i from 0, in an
// ordinary run; with HOTSWAP_TEST_SAMPLES=many none is left out.
func Every(t testing.TB, i, few int) {
	t.Helper()
	if i%Sample(few, 1) != 0 {
		Skip(t, "only with HOTSWAP_TEST_SAMPLES=many")
	}
}
