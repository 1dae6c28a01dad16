package testapp

import (
	"os"
	"path/filepath"
	"testing"

	"hotswap/sockserver"
)

func TestSocketServesTheServicesDatabaseWhateverItsName(t *testing.T) {
	// Not t.TempDir, which makes a path too long for a socket.
	dir, err := os.MkdirTemp("", "app")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, `a [b]*?.db`)
	socket := filepath.Join(dir, "s.sock")
	svc, err := Start(t.Context(), Config{Path: path, Interval: never, Socket: &Socket{Path: socket}})
	if err != nil {
		t.Fatal(err)
	}
	client := sockserver.NewClient(sockserver.ClientConfig{SocketPath: socket})
	list, err := client.Databases(t.Context(), "")
	if err != nil {
		t.Error(err)
	} else if len(list) != 1 || list[0].Path != svc.Database().Path() {
		t.Errorf("it serves %+v", list)
	}
	client.Close()
	if err := svc.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("left behind: %q", got)
	}
}
