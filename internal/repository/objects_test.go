package repository

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"hotswap/internal/engine/embedded"
	"hotswap/internal/engine/enginetest"
)

func TestOnlyWhatDiffersGoesToObjectStorage(t *testing.T) {
	w := newWorld(t)
	w.objects = newMemory(t)
	m := memoryAt(w.objects)
	path := w.database(4096, 4<<20)
	first := w.publish("catalog", path, PublishOptions{})
	if info, err := w.repo.stream.Info(t.Context()); err != nil || info.State.Msgs != 0 {
		t.Fatalf("on the engine: %+v, %v", info, err)
	}
	old := w.asPublished(path)
	w.change(path, 200)
	w.objects = "" // it stays where it was
	second := w.publish("catalog", path, PublishOptions{})
	if second.Objects == nil || second.Sent.Bytes*3 > first.Sent.Bytes || second.Objects.Dir == first.Objects.Dir {
		t.Errorf("%d bytes and then %d were written, into %+v and %+v", first.Sent.Bytes, second.Sent.Bytes, first.Objects, second.Objects)
	}
	for _, p := range []struct {
		Publication
		content []byte
	}{{first, old}, {second, w.asPublished(path)}} {
		if got, _ := w.fetch(w.repo, p.Published); !same(got, p.content) {
			t.Errorf("%s is not what was published", p.Version)
		}
	}
	// What the first alone has goes, and nothing else.
	before := len(m.objects)
	if done := w.gc(1); done.Chunks == 0 || before-len(m.objects) != done.Chunks || done.Kept != len(m.objects) {
		t.Errorf("of %d objects %d are left: %+v", before, len(m.objects), done)
	}
	if got, _ := w.fetch(w.repo, second.Published); !same(got, w.asPublished(path)) {
		t.Errorf("%s is not what was published", second.Version)
	}
	// In another bucket there is nothing yet.
	other := newMemory(t)
	moved := w.publish("catalog", path, PublishOptions{Objects: other})
	left := len(m.objects)
	if w.gc(1); left == 0 || len(m.objects) != 0 {
		t.Errorf("%d objects were left, and %d are", left, len(m.objects))
	}
	if got, _ := w.fetch(w.repo, moved.Published); !same(got, w.asPublished(path)) {
		t.Errorf("%s is not what was published", moved.Version)
	}
	m = memoryAt(other)
	// Back on the engine nothing refers to the objects, and the next collection that knows of
	// the bucket removes them.
	w.publish("catalog", path, PublishOptions{Objects: OnEngine})
	if w.gc(1); len(m.objects) != 0 {
		t.Errorf("%d objects are left", len(m.objects))
	}
}

func TestABaseThatLacksAnObjectIsNone(t *testing.T) {
	w := newWorld(t)
	w.objects = newMemory(t)
	m := memoryAt(w.objects)
	path := w.database(4096, 1<<20)
	first := w.publish("catalog", path, PublishOptions{})
	x, err := readIndex(t.Context(), must(w.repo.chunksOf(t.Context(), first.Manifest))(t), first.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	delete(m.objects, x.in(x.packs[0].ref)+"/"+x.packs[0].name.String())
	if _, _, err := w.tryFetch(w.repo, first.Published); !errors.Is(err, ErrChunk) || !strings.Contains(err.Error(), "is not there") {
		t.Errorf("fetched: %v", err)
	}
	second := w.publish("catalog", path, PublishOptions{})
	if got, _ := w.fetch(w.repo, second.Published); !same(got, w.asPublished(path)) {
		t.Error("it is not what was published")
	}
	if x, err = readIndex(t.Context(), must(w.repo.chunksOf(t.Context(), second.Manifest))(t), second.Manifest); err != nil {
		t.Fatal(err)
	}
	m.objects[x.in(x.packs[0].ref)+"/"+x.packs[0].name.String()] = []byte("something else")
	if _, _, err := w.tryFetch(w.repo, second.Published); !errors.Is(err, ErrChunk) || !strings.Contains(err.Error(), "something else") {
		t.Errorf("fetched: %v", err)
	}
}

func TestObjectStorageThatDoesNotAnswer(t *testing.T) {
	w := newWorld(t)
	w.objects = newMemory(t)
	m := memoryAt(w.objects)
	path := w.database(4096, 100<<10)
	p := w.publish("catalog", path, PublishOptions{})
	m.err = ErrObjectsForbidden
	if _, err := w.repo.Publish(t.Context(), "catalog", path, PublishOptions{}); !errors.Is(err, ErrObjectsForbidden) || !strings.Contains(err.Error(), w.objects) {
		t.Errorf("published: %v", err)
	}
	if _, _, err := w.tryFetch(w.repo, p.Published); !errors.Is(err, ErrObjectsForbidden) {
		t.Errorf("fetched: %v", err)
	}
	if _, err := w.repo.GC(t.Context(), GCOptions{Keep: 1}); !errors.Is(err, ErrObjectsForbidden) {
		t.Errorf("collected: %v", err)
	}
	m.err = nil
	if all, err := w.repo.Versions(context.Background(), "catalog"); err != nil || len(all) != 1 {
		t.Errorf("there are %v, %v", all, err)
	}
	memories.Delete(w.objects)
	if _, _, err := w.tryFetch(w.open(nil), p.Published); !errors.Is(err, ErrNoObjects) {
		t.Errorf("a program without object storage: %v", err)
	}
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// TestACopyOfAnEngineRemovesNoObjectsOfTheOther: both have the same directory in the storage.
func TestACopyOfAnEngineRemovesNoObjectsOfTheOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := &world{t: t, rng: newRand(), dir: t.TempDir(), objects: newMemory(t)}
	on := func(dir string) {
		w.server = enginetest.Start(t, func(c *embedded.Config) { c.Dir = dir })
		w.repo = w.open(nil)
	}
	on(dir)
	path := w.database(4096, 300<<10)
	w.publish("catalog", path, PublishOptions{})
	w.server.Stop()
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	on(dir)
	w.change(path, 5)
	second := w.publish("catalog", path, PublishOptions{})
	w.server.Stop()
	on(copied)
	for _, dryRun := range []bool{true, false} {
		if done, err := w.repo.GC(t.Context(), GCOptions{Keep: 1, DryRun: dryRun}); err != nil || done.Chunks != 0 {
			t.Errorf("it removes %+v, %v", done, err)
		}
	}
	w.server.Stop()
	on(dir)
	w.fetch(w.repo, second.Published)
}
