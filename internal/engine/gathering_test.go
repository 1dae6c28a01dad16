package engine_test

import (
	"testing"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/engine/enginetest"
)

func TestAStreamIsKeptByAllServersOfAClusterThatHasJustStarted(t *testing.T) {
	t.Parallel()
	c := enginetest.StartCluster(t)
	e := enginetest.Connect(t, engine.Config{URL: c.URL(), Patience: time.Second})
	stream, err := e.Chunks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().Config.Replicas; n != 3 {
		t.Errorf("the stream is kept %d times", n)
	}
}
