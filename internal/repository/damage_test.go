package repository

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"hotswap/internal/engine"
)

func TestADamagedChunkIsRefused(t *testing.T) {
	w := newWorld(t)
	path := w.database(4096, 1<<20)
	p := w.publish("catalog", path, PublishOptions{})
	x, err := readIndex(t.Context(), streamed{w.repo}, p.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	index, _ := parseName(p.Index[0])
	for what, n := range map[string]name{"pack": x.packs[1].name, "index": index} {
		subject := engine.ChunkSubject(n.String())
		if _, err := w.repo.engine.JetStream().Publish(t.Context(), subject, []byte("something else")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.tryFetch(w.repo, p.Published); !errors.Is(err, ErrChunk) || !strings.Contains(err.Error(), "something else") {
			t.Errorf("a damaged %s: %v", what, err)
		}
		w.publish("other", path, PublishOptions{}) // writes what the channel does not have
		if content, _ := w.fetch(w.repo, p.Published); !same(content, w.asPublished(path)) {
			t.Errorf("a damaged %s was not replaced", what)
		}
		if err := w.repo.fleet.Delete(t.Context(), Version{"other", 1}.key()); err != nil {
			t.Fatal(err)
		}
		if err := w.repo.fleet.Delete(t.Context(), nextKey("other")); err != nil {
			t.Fatal(err)
		}
	}
	// What is not a chunk at all is in nobody's way, and goes with the next collection.
	if _, err := w.repo.engine.JetStream().Publish(t.Context(), engine.ChunkSubject("nonsense"), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if done := w.gc(1); done.Chunks == 0 {
		t.Errorf("collected %+v", done)
	}
	w.fetch(w.repo, p.Published)
}

func TestAMissingChunk(t *testing.T) {
	w := newWorld(t)
	path := w.database(4096, 1<<20)
	p := w.publish("catalog", path, PublishOptions{})
	x, err := readIndex(t.Context(), streamed{w.repo}, p.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	lost := engine.ChunkSubject(x.packs[0].name.String())
	message, err := w.repo.stream.GetLastMsgForSubject(t.Context(), lost)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.repo.stream.DeleteMsg(t.Context(), message.Sequence); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.tryFetch(w.repo, p.Published); !errors.Is(err, ErrChunk) || !strings.Contains(err.Error(), "is not there") {
		t.Errorf("fetched: %v", err)
	}
	// It is no base any more, so the next version has all.
	next := w.publish("catalog", path, PublishOptions{})
	if content, _ := w.fetch(w.repo, next.Published); !same(content, w.asPublished(path)) {
		t.Error("the version is not what was published")
	}
}

// TestWhatIsDecompressedIsBounded, whatever a frame says of itself.
func TestWhatIsDecompressedIsBounded(t *testing.T) {
	z, err := zstd.NewWriter(nil, zstd.WithWindowSize(8<<20))
	if err != nil {
		t.Fatal(err)
	}
	var streamed bytes.Buffer // whose frame does not say how long it is
	s, err := zstd.NewWriter(&streamed)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 256<<20)
	s.Write(zeros)
	s.Close()
	bombs := map[string][]byte{"with its length": z.EncodeAll(zeros, nil), "without": streamed.Bytes()}
	zeros = nil
	buf := make([]byte, packBytes)
	for what, bomb := range bombs {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := unpack(bomb, buf, packBytes); !errors.Is(err, ErrPack) {
			t.Errorf("a pack %s: %v", what, err)
		}
		if _, err := parseIndex(bomb, 1000, 4096); !errors.Is(err, ErrIndex) {
			t.Errorf("an index %s: %v", what, err)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 32<<20 {
			t.Errorf("%s: %d bytes of memory for a chunk of %d", what, took, len(bomb))
		}
	}
}

// changing is a file whose content is another one each time that it is read.
type changing struct {
	*bytes.Reader
	reads map[int64]bool
}

func (c *changing) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.Reader.ReadAt(p, off)
	if n > 0 && c.reads[off] {
		p[0] ^= 1
	}
	c.reads[off] = true
	return n, err
}

func TestASourceThatChangesMeanwhileIsNoticed(t *testing.T) {
	w := newWorld(t)
	path := w.database(4096, 1<<20)
	p := w.publish("catalog", path, PublishOptions{})
	content := w.asPublished(path)
	dst, err := os.Create(filepath.Join(t.TempDir(), "fetched"))
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	local := Local{&changing{bytes.NewReader(content), map[int64]bool{}}, int64(len(content))}
	if err := w.repo.Fetch(t.Context(), p.Published, dst, []Local{local}, nil); !errors.Is(err, ErrPack) {
		t.Errorf("got %v", err)
	}
}
