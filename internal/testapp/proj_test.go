package testapp

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hotswap/internal/testenv"
)

// projDB is a database that nobody here made: views, triggers, foreign keys,
// WITHOUT ROWID tables. Debian's package proj-data has it.
const projDB = "/usr/share/proj/proj.db"

func TestProjDatabaseIsServedPushedAndPulledUnderLoad(t *testing.T) {
	if !alone(t) {
		return
	}
	if _, err := os.Stat(projDB); err != nil {
		testenv.Skip(t, "PROJ's database is not here (Debian: apt install proj-data): %v", err)
	}
	dir := t.TempDir()
	first, changed := filepath.Join(dir, "first.db"), filepath.Join(dir, "changed.db")
	if err := Restamp(t.Context(), projDB, first, 1); err != nil {
		t.Fatal(err)
	}
	if err := Restamp(t.Context(), first, changed, 2); err != nil {
		t.Fatal(err)
	}
	mustExec(t, changed, `UPDATE metadata SET value = 'changed by a test' WHERE key = 'EPSG.DATE'`)
	mustExec(t, changed, `DELETE FROM alias_name WHERE rowid % 10 = 0`)
	before, want := digests(t, first), digests(t, changed)
	if diff := differences(before, want); !slices.Equal(diff, []string{"alias_name", "metadata", "testapp_generation"}) {
		t.Fatalf("the change touched %q", diff)
	}

	r := startOn(t, Config{}, func(path string) error { return copyFile(first, path) })
	r.load(LoadConfig{Readers: 3, Writers: 2, Think: time.Duration(testenv.Sample(20, 2)) * time.Millisecond})
	r.awaitCalls(5)
	untouched := r.pull()
	if diff := foreign(differences(before, digests(t, untouched))); len(diff) != 0 {
		t.Errorf("before the push, the pull differs in %q", diff)
	}
	if _, err := r.push(changed, "", r.options()); err != nil {
		t.Fatal(err)
	}
	r.awaitCalls(5)
	underLoad := digests(t, r.pull())
	if diff := foreign(differences(want, underLoad)); len(diff) != 0 {
		t.Errorf("after the push, the pull under load differs in %q", diff)
	}
	r.stopLoads()
	r.svc.StopWorkers() // nothing may change between the pull and the end
	if err := os.Remove(filepath.Join(r.scratch, pulledName(2))); err != nil {
		t.Fatal(err)
	}
	pulled := digests(t, r.pull())
	r.finish()
	live := digests(t, r.path)
	if diff := differences(live, pulled); len(diff) != 0 {
		t.Errorf("the live database and the pull at rest differ in %q", diff)
	}
	rows := int64(0)
	for _, d := range live {
		rows += d.Rows
	}
	t.Logf("compared %d tables of %d rows", len(live), rows)
	if len(live) < 30 || rows < 20_000 {
		t.Errorf("only %d tables and %d rows were compared", len(live), rows)
	}
}

func digests(t *testing.T, path string) map[string]Digest {
	t.Helper()
	d, err := DigestTables(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// differences names the tables that two databases do not have in common.
func differences(a, b map[string]Digest) []string {
	names := make(map[string]bool)
	for _, m := range []map[string]Digest{a, b} {
		for name := range m {
			x, inA := a[name]
			y, inB := b[name]
			if inA != inB || x != y {
				names[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// foreign leaves out the service's own tables, in which the load writes.
func foreign(tables []string) []string {
	return slices.DeleteFunc(tables, func(name string) bool {
		return strings.HasPrefix(name, "testapp_")
	})
}
