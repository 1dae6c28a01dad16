package repository

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOnlyWhatDiffersTravels(t *testing.T) {
	w := newWorld(t)
	path := w.database(4096, 16<<20)
	first := w.publish("catalog", path, PublishOptions{})
	_, all := w.fetch(w.repo, first.Published)
	if all.Local != 0 || all.Bytes < first.Size/4 {
		t.Errorf("into nothing: %+v of %d bytes", all, first.Size)
	}
	kept := filepath.Join(w.dir, "kept")
	copyFile(t, path, kept)
	w.change(path, 1000)
	second := w.publish("catalog", path, PublishOptions{})
	got, some := w.fetch(w.repo, second.Published, kept)
	if !same(got, w.asPublished(path)) {
		t.Error("the second version is not what was published")
	}
	// One row in a thousand is one page in some fifty, each packed with others that differ;
	// and the digests of all: 16 bytes for each 4096.
	changed, digests := int64(second.Sent.Extents)*4096, first.Size/4096*16
	t.Logf("%d bytes, of which %d changed: %d published, %d fetched", second.Size, changed, second.Sent.Bytes, some.Bytes)
	if changed > second.Size/20 || second.Sent.Bytes > changed+digests+8192 {
		t.Errorf("published %+v of %d bytes", second.Sent, second.Size)
	}
	if some.Bytes > changed+digests+8192 || some.Local < second.Size-changed {
		t.Errorf("fetched %+v of %d bytes", some, second.Size)
	}
	// A node that has it already, and one with two files, of which each has a part.
	if _, none := w.fetch(w.repo, second.Published, path); none.Bytes != 0 || none.Local != second.Size {
		t.Errorf("into a node that has it: %+v", none)
	}
	halves := []string{filepath.Join(w.dir, "half"), filepath.Join(w.dir, "other")}
	content := w.asPublished(path)
	half := len(content) / 2 &^ 4095
	copyBytes(t, halves[0], content[:half])
	copyBytes(t, halves[1], append(make([]byte, half), content[half:]...))
	if got, both := w.fetch(w.repo, second.Published, halves...); !same(got, content) || both.Local < second.Size-8192 {
		t.Errorf("out of two halves: %+v", both)
	}
}

func TestAVersionThatIsTheSameIsPublishedWithoutItsBytes(t *testing.T) {
	w := newWorld(t)
	path := w.database(4096, 4<<20)
	w.publish("catalog", path, PublishOptions{})
	if again := w.publish("catalog", path, PublishOptions{}); again.Number != 2 || again.Sent.Bytes > 8192 {
		t.Errorf("published %+v", again.Sent)
	}
	if anew := w.publish("catalog", path, PublishOptions{Anew: true}); anew.Sent.Bytes < 1<<20 {
		t.Errorf("published anew: %+v", anew.Sent)
	}
}

// TestWhatIsKeptStaysBounded: a few rows change at random, again and again, so that what is
// used of the packs gets less.
func TestWhatIsKeptStaysBounded(t *testing.T) {
	w := newWorld(t)
	path := w.database(4096, 2<<20)
	first := w.publish("catalog", path, PublishOptions{})
	for range 20 {
		w.change(path, 100)
		p := w.publish("catalog", path, PublishOptions{})
		if got, _ := w.fetch(w.repo, p.Published); !same(got, w.asPublished(path)) {
			t.Fatalf("%s is not what was published", p.Version)
		}
	}
	w.gc(1)
	info, err := w.repo.stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if most := 2*uint64(first.Sent.Bytes) + 256<<10; info.State.Bytes > most {
		t.Errorf("%d bytes are kept of a version of %d", info.State.Bytes, first.Sent.Bytes)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	copyBytes(t, to, content)
}

func copyBytes(t *testing.T, to string, content []byte) {
	t.Helper()
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
