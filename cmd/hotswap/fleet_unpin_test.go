package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotswap/fleet"
	"hotswap/internal/engine"
	"hotswap/internal/engine/enginetest"
	"hotswap/internal/records"
)

// TestAPinThatANodeRefusesCanBeTakenBack, or replaced; and nothing of it is in what is signed then.
func TestAPinThatANodeRefusesCanBeTakenBack(t *testing.T) {
	t.Parallel()
	url, dir := enginetest.Start(t).ClientURL(), t.TempDir()
	e := enginetest.Connect(t, engine.Config{URL: url})
	recs, err := records.Open(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	key := func(name string) (file, public string) {
		file = filepath.Join(dir, name)
		_, public, _ = runCaptured(t, t.Context(), "fleet", "key", file)
		return file, strings.TrimSpace(public)
	}
	ours, public := key("ours.pem")
	theirs, _ := key("theirs.pem")
	exits := func(exit int, words string, args ...string) {
		t.Helper()
		if code, stdout, stderr := onEngine(t, url, args...); code != exit || !strings.Contains(stdout+stderr, words) {
			t.Fatalf("%s: %d, %s%s", args, code, stdout, stderr)
		}
	}
	do := func(words string, args ...string) { t.Helper(); exits(0, words, args...) }
	file := smallDatabase(t)
	for range 2 {
		do("", "publish", "-q", "--key", ours, file, "catalog")
	}
	node, err := fleet.Join(t.Context(), fleet.Config{Engine: url, Node: "a", Databases: map[string]string{"catalog": filepath.Join(dir, "live.sqlite3")},
		TrustedKeys: []string{public}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { node.Close() })
	eventually := func(what string, so func(records.Database) bool) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		var last records.Database
		recs.WatchNodes(ctx, func(c records.Change) {
			if c.Record != nil {
				last = c.Record.Databases["catalog"]
			}
			if so(last) {
				cancel()
			}
		})
		if !so(last) {
			t.Fatalf("%s: %+v", what, last)
		}
	}
	refused := func(d records.Database) bool { return strings.Contains(d.RefusedPin, "not among the trusted keys") }

	exits(exitBadDatabase, "a refuses that: ", "pin", "a", "catalog@2", "--key", theirs)
	eventually("it refuses the pin", refused)
	do("the pin before counts for nothing: the pin is not trusted", "unpin", "a", "catalog", "--key", ours)
	eventually("it has nothing to refuse", func(d records.Database) bool { return d.RefusedPin == "" && d.Pinned == 0 && d.Have == 0 })
	if pin, _, err := recs.Pin(t.Context(), "catalog", "a"); err != nil || pin.Version != 0 || len(pin.From) != 0 {
		t.Errorf("what is signed says that it was held at a version: %+v, %v", pin, err)
	}

	// One that it obeys holds on, although another one is in its place.
	do("", "pin", "a", "catalog@1", "--key", ours)
	eventually("it obeys", func(d records.Database) bool { return d.Pinned == 1 && d.Have == 1 })
	exits(exitBadDatabase, "a refuses that: ", "pin", "a", "catalog@2", "--key", theirs)
	eventually("it refuses the second, and has the first", func(d records.Database) bool { return refused(d) && d.Pinned == 1 && d.Have == 1 })
	do("", "unpin", "a", "catalog", "--key", ours)
	eventually("it is released", func(d records.Database) bool { return d.RefusedPin == "" && d.Pinned == 0 })
	if pin, _, err := recs.Pin(t.Context(), "catalog", "a"); err != nil || len(pin.From) != 1 || pin.From[0] != 1 {
		t.Errorf("%+v, %v", pin, err)
	}

	// One that is damaged, too.
	kv, err := e.Fleet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), records.PinKey("catalog", "a"), "{"); err != nil {
		t.Fatal(err)
	}
	do("damaged", "unpin", "a", "catalog", "--key", ours)
	if pin, _, err := recs.Pin(t.Context(), "catalog", "a"); err != nil || pin.Version != 0 {
		t.Errorf("%+v, %v", pin, err)
	}
}
