//go:build unix

package objects

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "gocloud.dev/blob/fileblob"

	"hotswap/internal/repository"
)

// TestAStorageThatHangsIsLeft: a pipe in the place of an object is opened for as long as nobody
// writes to it, as a file on a server that is away is.
func TestAStorageThatHangsIsLeft(t *testing.T) {
	defer func(was time.Duration) { patience = was }(patience)
	patience = 10 * time.Millisecond
	dir := t.TempDir()
	b, err := open(t.Context(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	for range 2 * mostCalls {
		if _, err := b.Read(t.Context(), "pipe", 100); !errors.Is(err, repository.ErrObjectsSilent) || !strings.Contains(err.Error(), "read pipe") {
			t.Fatal(err)
		}
	}
	if more := runtime.NumGoroutine() - before; more > mostCalls {
		t.Errorf("%d calls hang", more)
	}
	patience = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	if _, err := b.Read(ctx, "pipe", 100); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	// When it answers again, so does the bucket.
	w, err := os.OpenFile(pipe, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	if err := b.Write(t.Context(), "object", []byte("text")); err != nil {
		t.Fatal(err)
	}
	if text, err := b.Read(t.Context(), "object", 100); string(text) != "text" {
		t.Error(string(text), err)
	}
}
