package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/engine/enginetest"
	"hotswap/internal/records"
	"hotswap/internal/rollout"
)

// onEngine runs `hotswap fleet` with an engine.
func onEngine(t *testing.T, url string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return runCaptured(t, t.Context(), append(append([]string{"fleet"}, args...), "--engine", url)...)
}

// smallDatabase makes one that can be published.
func smallDatabase(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "catalog.sqlite3")
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TABLE t (v TEXT)"); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAVersionThatACollectionHasLeftRetiringIsSaidToBe, and can be ordered and pinned.
func TestAVersionThatACollectionHasLeftRetiringIsSaidToBe(t *testing.T) {
	url := enginetest.Start(t).ClientURL()
	kv, err := enginetest.Connect(t, engine.Config{URL: url}).Fleet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	file := smallDatabase(t)
	for range 2 {
		if code, _, stderr := onEngine(t, url, "publish", "-q", file, "catalog"); code != 0 {
			t.Fatal(stderr)
		}
	}
	for _, command := range [][]string{{"rollout", "catalog@1"}, {"pin", "a", "catalog@1"}} {
		entry, err := kv.Get(t.Context(), "version.catalog.1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kv.Put(t.Context(), entry.Key(), bytes.Replace(entry.Value(), []byte(`"published"`), []byte(`"retiring"`), 1)); err != nil {
			t.Fatal(err)
		}
		if _, said, _ := onEngine(t, url, "versions", "catalog"); strings.Count(said, "about to be removed") != 1 {
			t.Errorf("versions:\n%s", said)
		}
		if code, _, stderr := onEngine(t, url, command...); code != 0 {
			t.Errorf("%s: %s", command, stderr)
		}
		if _, said, _ := onEngine(t, url, "versions", "catalog"); strings.Contains(said, "about to be removed") {
			t.Errorf("after %s:\n%s", command, said)
		}
	}
}

func TestACommandOfTheFleetThatIsInterruptedSaysSo(t *testing.T) {
	url := enginetest.Start(t).ClientURL()
	if code, _, stderr := onEngine(t, url, "status"); code != 0 {
		t.Fatal(stderr)
	}
	ctx, interrupt := context.WithCancelCause(t.Context())
	interrupt(fmt.Errorf("%w by SIGTERM", errInterrupted))
	for _, command := range [][]string{{"status"}, {"versions", "catalog"}, {"rollout", "catalog"}, {"gc", "--keep", "1"}, {"halt", "catalog"}} {
		code, _, stderr := runCaptured(t, ctx, append(append([]string{"fleet"}, command...), "--engine", url)...)
		if code != exitFailed || !strings.Contains(stderr, "interrupted by SIGTERM") {
			t.Errorf("%s: %d, %s", command, code, stderr)
		}
	}
}

// TestAPinThatTheEngineHasLostCanBeTakenAway: a node keeps one that was signed.
func TestAPinThatTheEngineHasLostCanBeTakenAway(t *testing.T) {
	url := enginetest.Start(t).ClientURL()
	recs, err := records.Open(t.Context(), enginetest.Connect(t, engine.Config{URL: url}))
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := onEngine(t, url, "unpin", "a", "catalog"); code != exitFailed || !strings.Contains(stderr, "a is not pinned") {
		t.Errorf("%d: %s", code, stderr)
	}
	if _, err := recs.PutNode(t.Context(), records.Node{Node: "a", Clock: time.Now(), Databases: map[string]records.Database{
		"catalog": {State: rollout.State{Have: 2, Pinned: 2}}}}, records.Entry{}); err != nil {
		t.Fatal(err)
	}
	defer func(was time.Duration) { pinPatience = was }(pinPatience)
	pinPatience = 100 * time.Millisecond // nobody is there who would say more
	code, _, stderr := onEngine(t, url, "unpin", "a", "catalog")
	if code != 0 || !strings.Contains(stderr, "a has not said yet whether it obeys") {
		t.Errorf("%d: %s", code, stderr)
	}
	if pin, _, err := recs.Pin(t.Context(), "catalog", "a"); err != nil || pin == nil || pin.Version != 0 || len(pin.From) != 1 || pin.From[0] != 2 {
		t.Errorf("%+v, %v", pin, err)
	}
}
