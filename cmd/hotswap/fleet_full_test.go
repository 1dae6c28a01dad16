package main

import (
	"crypto/rand"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/internal/engine"
	"hotswap/internal/engine/embedded"
	"hotswap/internal/engine/enginetest"
)

// TestAnEngineThatPublishersHaveFilledIsStillOrderedWith, and versions can be removed from it.
func TestAnEngineThatPublishersHaveFilledIsStillOrderedWith(t *testing.T) {
	t.Parallel()
	server := enginetest.Start(t, func(c *embedded.Config) { c.MaxStore = 3 << 20 })
	if err := setUp(t.Context(), &streams{}, server); err != nil {
		t.Fatal(err)
	}
	url := server.ClientURL()
	do := func(args ...string) {
		t.Helper()
		if code, stdout, stderr := onEngine(t, url, args...); code != 0 {
			t.Errorf("%s: %d, %s%s", args, code, stdout, stderr)
		}
	}
	file := filepath.Join(t.TempDir(), "large.sqlite3")
	db, err := sql.Open("sqlite3", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	publish := func() (code int, stderr string) {
		t.Helper()
		noise := make([]byte, 500_000)
		rand.Read(noise)
		if _, err := db.Exec("CREATE TABLE IF NOT EXISTS t (v BLOB); DELETE FROM t; INSERT INTO t VALUES (?)", noise); err != nil {
			t.Fatal(err)
		}
		code, _, stderr = onEngine(t, url, "publish", "-q", file, "catalog")
		return code, stderr
	}
	code, said, published := 0, "", -1
	for ; code == 0 && published < 20; published++ {
		code, said = publish()
	}
	if published < 2 || published >= 20 || !strings.Contains(said, engine.ErrFull.Error()) || !strings.Contains(said, "--max-store") {
		t.Fatalf("%d were published: %s", published, said)
	}
	do("rollout", "catalog@1")
	do("rollout", "catalog@2")
	do("halt", "catalog")
	do("pin", "a", "catalog@2")
	do("rollback", "catalog@1")
	do("gc", "--keep", "1")
	if code, said := publish(); code != 0 {
		t.Errorf("after old versions were removed: %s", said)
	}
}

// TestAnEngineThatMayStoreLessThanItMightServes, as when others have taken room on its disk, and
// says that it keeps no room.
func TestAnEngineThatMayStoreLessThanItMightServes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	file := smallDatabase(t)
	for _, most := range []int64{64 << 20, 32 << 20, 128 << 20} {
		server, err := embedded.Start(embedded.Config{Dir: dir, Port: -1, Lax: true, MaxStore: most})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Stop()
		if err := setUp(t.Context(), &streams{err: stderr}, server); err != nil {
			t.Fatal(err)
		}
		said, err := os.ReadFile(stderr.Name())
		if kept := !strings.Contains(string(said), "no room is kept for orders"); err != nil || kept != (most != 32<<20) {
			t.Errorf("of %d bytes: %s, %v", most, said, err)
		}
		if err := stderr.Truncate(0); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"publish", "-q", file, "catalog"}, {"rollout", "catalog"}, {"gc", "--keep", "1"}} {
			if code, _, stderr := onEngine(t, server.ClientURL(), args...); code != 0 {
				t.Errorf("%s: %s", args, stderr)
			}
		}
		server.Stop()
	}
}
