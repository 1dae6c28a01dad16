package sockserver

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"hotswap/internal/testenv"
)

// TestAStatusHasThePushThatIsUnderWay: its id, whose it is, and how far, until it ends.
func TestAStatusHasThePushThatIsUnderWay(t *testing.T) {
	dir := shortDir(t)
	openDatabase(t, dir+"/db", 1)
	openDatabase(t, dir+"/other", 1)
	s := startServer(t, dir, Config{}, nil)
	c := newTestClient(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	stuck, feed := io.Pipe()
	defer feed.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := c.Push(ctx, dir+"/db", stuck, PushParams{ID: "STUCK", Source: "-", Size: 100})
		ended <- err
	}()
	look := newTestClient(t, s)
	of := func(path string) []CommandInfo {
		t.Helper()
		list, err := look.Databases(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		return list[0].Commands
	}
	testenv.Eventually(t, func() error {
		if list := of(dir + "/db"); len(list) != 1 || list[0].Status == "" {
			return fmt.Errorf("under way: %+v", list)
		}
		return nil
	})
	if push := of(dir + "/db")[0]; push.ID != "STUCK" || push.Verb != "push" || push.Source != "-" || push.PID != os.Getpid() || push.Since.IsZero() {
		t.Errorf("%+v", push)
	}
	if list := of(dir + "/other"); len(list) != 0 {
		t.Errorf("of another database: %+v", list)
	}
	cancel()
	<-ended
	testenv.Eventually(t, func() error {
		if list := of(dir + "/db"); len(list) != 0 {
			return fmt.Errorf("under way after its end: %+v", list)
		}
		return nil
	})
}
