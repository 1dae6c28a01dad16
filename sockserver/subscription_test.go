package sockserver

import (
	"context"
	"errors"
	"net/http"
	"testing"
)

func TestSubscriptionEndsWhenItIsClosed(t *testing.T) {
	s := startServer(t, shortDir(t), Config{}, nil)
	sub, err := newTestClient(t, s).Subscribe(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { _, err := sub.Next(); ended <- err }()
	sub.Close()
	if err := <-ended; err == nil {
		t.Error("Next returned a line")
	}
	if _, err := newTestClient(t, s).Subscribe(t.Context(), "not an id"); err == nil {
		t.Error("an id with spaces was taken")
	}
}

func TestSubscriptionOutlivesTheContextOfItsMaking(t *testing.T) {
	s := startServer(t, shortDir(t), Config{}, nil)
	ctx, cancel := context.WithCancel(t.Context())
	sub, err := newTestClient(t, s).Subscribe(ctx, "one")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	cancel()
	s.api.program.feed.publish(textLine("one", "after"))
	if line, err := sub.Next(); err != nil || line.Text != "after" {
		t.Errorf("got %+v, %v", line, err)
	}
	silent, stop := context.WithCancel(t.Context())
	c := fakeServer(t, func(_ http.ResponseWriter, r *http.Request) {
		stop()
		<-r.Context().Done()
	})
	if _, err := c.Subscribe(silent, "one"); !errors.Is(err, context.Canceled) {
		t.Errorf("a silent server: %v", err)
	}
}
