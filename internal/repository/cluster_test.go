package repository

import (
	"sync"
	"testing"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/engine/enginetest"
)

// TestAServerDiesInTheMidstOfPublishing: that which leads the stream of chunks, of three.
func TestAServerDiesInTheMidstOfPublishing(t *testing.T) {
	t.Parallel()
	c := enginetest.StartCluster(t)
	e := enginetest.Connect(t, engine.Config{URL: c.URL(), Patience: time.Second})
	repo, err := Open(t.Context(), e, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, repo: repo, rng: newRand(), dir: t.TempDir()}
	info, err := repo.stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.Config.Replicas != 3 {
		t.Fatalf("the stream is kept %d times", info.Config.Replicas)
	}
	path := w.database(4096, 4<<20)
	first := w.publish("catalog", path, PublishOptions{})
	w.change(path, 5)
	leader := c.Named(info.Cluster.Leader)
	var once sync.Once
	chunks := 0
	var mu sync.Mutex
	second := w.publish("catalog", path, PublishOptions{step: func(step string) {
		mu.Lock()
		defer mu.Unlock()
		if chunks++; chunks == 3 {
			once.Do(func() { c.Stop(leader) })
		}
	}})
	if got, _ := w.fetch(repo, second.Published); !same(got, w.asPublished(path)) {
		t.Error("the second version is not what was published")
	}
	w.fetch(repo, first.Published)
	c.Start(leader)
	if done := w.gc(1); len(done.Retired) != 1 || done.Chunks == 0 {
		t.Errorf("collected %+v", done)
	}
	w.fetch(repo, second.Published)
}
