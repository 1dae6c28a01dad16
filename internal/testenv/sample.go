package testenv

import "os"

// Sample is how many of something a test tries: few in an ordinary run, which is to
// be quick, and many where HOTSWAP_TEST_SAMPLES is "many", as in .ci/run.
func Sample(few, many int) int {
	if os.Getenv("HOTSWAP_TEST_SAMPLES") == "many" {
		return many
	}
	return few
}
