package sockserver

import (
	"bytes"
	"io"
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"hotswap/internal/lognote"
	"hotswap/internal/testenv"
)

// stuckWriter takes nothing until the test is over.
type stuckWriter struct{ leave chan struct{} }

func (w stuckWriter) Write(p []byte) (int, error) { <-w.leave; return len(p), nil }

func TestNeitherStatusNorPushNorPullWaitsForTheLog(t *testing.T) {
	if !testenv.Apart(t) {
		return
	}
	w := stuckWriter{make(chan struct{})}
	t.Cleanup(func() {
		close(w.leave)
		lognote.Flush(time.Minute)
	})
	dir := shortDir(t)
	live := openDatabase(t, dir+"/db", 1)
	makeDatabase(t, dir+"/new", 10)
	// Not with startServer: its end would wait a second for the log.
	s, err := Start(Config{SocketPath: dir + "/s.sock", DatabasePaths: []string{dir + "/db"}, Logger: zerolog.New(w)})
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(dir + "/new")
	if err != nil {
		t.Fatal(err)
	}
	c := newTestClient(t, s)
	if _, err := c.Push(t.Context(), TheDatabase, bytes.NewReader(content), PushParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Snapshot(t.Context(), TheDatabase, io.Discard, SnapshotParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Snapshot(t.Context(), dir+"/none", io.Discard, SnapshotParams{}); err == nil {
		t.Fatal("a database that is not managed was pulled")
	}
	serves(t, s, live)
	if n := rowsIn(t, live); n != 10 {
		t.Errorf("%d rows are live", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
