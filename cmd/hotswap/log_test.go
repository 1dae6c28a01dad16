package main

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"hotswap/sockserver"
)

func TestLogOfOneCommandEndsWithIt(t *testing.T) {
	dir, _ := program(t)
	socket := filepath.Join(dir, "tmp/sockets/hotswap.sock")
	client := sockserver.NewClient(sockserver.ClientConfig{SocketPath: socket})
	defer client.Close()
	ended, left := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(left)
		// Until it has subscribed, its command has ended before it began.
		for {
			for _, id := range []string{"other", "wanted"} {
				if _, err := client.Snapshot(t.Context(), sockserver.TheDatabase, io.Discard, sockserver.SnapshotParams{ID: id}); err != nil {
					t.Error(err)
				}
			}
			select {
			case <-ended:
				return
			default:
			}
		}
	}()
	code, stdout, _ := runCaptured(t, t.Context(), "log", "--id=wanted", "--socket="+socket)
	close(ended)
	<-left
	if code != 0 || strings.Contains(stdout, " other ") || !strings.HasSuffix(stdout, " wanted OK\n") {
		t.Errorf("exit %d, and it says:\n%s", code, stdout)
	}
}
