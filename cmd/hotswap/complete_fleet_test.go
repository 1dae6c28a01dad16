package main

import (
	"net"
	"strings"
	"testing"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/engine/enginetest"
	"hotswap/internal/records"
)

// complete is what is offered behind `hotswap fleet`, with an engine.
func complete(t *testing.T, url string, words ...string) string {
	t.Helper()
	t.Setenv(engine.EnvURL, url)
	code, stdout, stderr := runCaptured(t, t.Context(), append([]string{"complete", "zsh", "--", "fleet"}, words...)...)
	if code != 0 || stderr != "" {
		t.Errorf("%s: %d, %s", words, code, stderr)
	}
	return stdout
}

// TestNodesAreCompleted, also one that has left.
func TestNodesAreCompleted(t *testing.T) {
	url := enginetest.Start(t).ClientURL()
	e := enginetest.Connect(t, engine.Config{URL: url})
	recs, err := records.Open(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"web-1", "db-1"} {
		if err := recs.PutJoined(t.Context(), records.Joined{Node: name, Labels: map[string]string{"zone": "eu", "role": "web"}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{"pin", "unpin"} {
		if got := complete(t, url, command, ""); got != "db-1\trole=web zone=eu\nweb-1\trole=web zone=eu\n" {
			t.Errorf("%s: %q", command, got)
		}
	}
}

// TestWhoPressesTabChangesNothing: an engine that is new stays so.
func TestWhoPressesTabChangesNothing(t *testing.T) {
	url := enginetest.Start(t).ClientURL()
	for _, words := range [][]string{{"pin", ""}, {"status", ""}, {"fetch", "catalog@"}} {
		if got := complete(t, url, words...); got != "" {
			t.Errorf("%s: %q", words, got)
		}
	}
	js := enginetest.Connect(t, engine.Config{URL: url}).JetStream()
	for name := range js.StreamNames(t.Context()).Name() {
		t.Errorf("there is the stream %s", name)
	}
}

// TestNobodyWaitsLongForACompletion: the servers take connections, and say nothing, one after the
// other.
func TestNobodyWaitsLongForACompletion(t *testing.T) {
	var urls []string
	for range 40 {
		hole, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { hole.Close() })
		urls = append(urls, "nats://"+hole.Addr().String())
	}
	usual := completeTimeout
	completeTimeout = 50 * time.Millisecond
	t.Cleanup(func() { completeTimeout = usual })
	began := time.Now()
	if got := complete(t, strings.Join(urls, ","), "status", ""); got != "" || time.Since(began) > time.Second {
		t.Errorf("after %v: %q", time.Since(began), got)
	}
}
