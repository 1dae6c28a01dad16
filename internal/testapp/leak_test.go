package testapp

import (
	"flag"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotswap/internal/testenv"
)

var swaps = flag.Int("swaps", testenv.Sample(8, 40), "how many swaps to look for a forgotten descriptor after")

func TestSwapsLeaveNoDescriptorBehind(t *testing.T) {
	if !alone(t) {
		return
	}
	f := Fixture{Size: 1, Tables: 1, JournalMode: "wal"}
	// The runtime opens descriptors of its own at the first use of the network, the
	// driver the one it makes its reserve of at the first push.
	first := startRun(t, f, Config{})
	first.mustPush(f, first.options())
	first.finish()

	before := openFiles(t)
	r := startRun(t, f, Config{})
	r.load(LoadConfig{Readers: 1, Writers: 1, Think: time.Duration(testenv.Sample(10, 0)) * time.Millisecond})
	opts := r.options()
	for range *swaps {
		r.mustPush(f, opts)
		for _, name := range openFiles(t) {
			if strings.Contains(name, filepath.Dir(r.path)) && strings.HasSuffix(name, "(deleted)") {
				t.Fatalf("after a push %s is still open", name)
			}
		}
	}
	r.stopLoads()
	r.finish()
	wantOpenFiles(t, before)
}
