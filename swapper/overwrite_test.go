package swapper

import (
	"os"
	"testing"
	"time"
)

// TestACopyInPlaceSyncsTheJournalSeldom: SQLite does before it writes into the file what
// no longer fits in its cache, which is most of the time that such a copy takes on a
// disk that is slow to sync.
func TestACopyInPlaceSyncsTheJournalSeldom(t *testing.T) {
	t.Parallel()
	_, d := openManaged(t, "?_journal=DELETE", "CREATE TABLE t (b); INSERT INTO t VALUES (zeroblob(16<<20))")
	path := d.Path()
	l, err := openLive(t.Context(), d, 0)
	if err != nil {
		t.Fatal(err)
	}
	o := &overwrite{}
	defer o.closeLive()
	if err := o.open(t.Context(), l); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, before, before); err != nil {
		t.Fatal(err)
	}
	if _, err := o.dst.Exec("BEGIN; UPDATE t SET b = randomblob(16<<20)", nil); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.ModTime().After(before.Add(time.Minute)) {
		t.Errorf("the file was written to before the commit: %v, %v", info.ModTime(), err)
	}
	if _, err := o.dst.Exec("ROLLBACK", nil); err != nil {
		t.Fatal(err)
	}
}
