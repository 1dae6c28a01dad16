package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hotswap/internal/engine"
	"hotswap/internal/engine/embedded"
	"hotswap/internal/engine/enginetest"
)

// TestADiskOfTheEnginesThatIsFullIsSaid: what can't be written there is not answered at all.
func TestADiskOfTheEnginesThatIsFullIsSaid(t *testing.T) {
	dir := t.TempDir()
	s := enginetest.Start(t, func(c *embedded.Config) { c.Dir = dir })
	e := enginetest.Connect(t, engine.Config{URL: s.ClientURL()})
	if err := e.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/full", filepath.Join(dir, "jetstream", "$G", "streams", engine.ChunkStream, "msgs", "2.blk")); err != nil {
		t.Fatal(err)
	}
	var err error
	for i := 0; i < 50 && err == nil; i++ { // until the server begins its second file
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		_, err = e.JetStream().Publish(ctx, engine.ChunkSubject(fmt.Sprint(i)), make([]byte, 1<<20-1000))
		cancel()
	}
	if err = e.ExplainWrite("publish", err); !errors.Is(err, engine.ErrNotKept) || !strings.Contains(err.Error(), "its disk may be full") {
		t.Error(err)
	}
}
