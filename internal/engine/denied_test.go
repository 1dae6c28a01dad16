package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"hotswap/internal/engine"
	"hotswap/internal/engine/enginetest"
)

// TestWhatIsForbiddenIsSaidAtOnce: the server answers nothing to a request that it does not
// permit, and a command would wait for ten seconds.
func TestWhatIsForbiddenIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	url := plain(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "reader", Password: "pw", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.CREATE.>", "aside"}}}}}
	})
	e := enginetest.Connect(t, engine.Config{URL: strings.Replace(url, "nats://", "nats://reader:pw@", 1)})
	began := time.Now()
	err := e.Setup(t.Context())
	if !errors.Is(err, engine.ErrNotPermitted) || time.Since(began) > 3*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	for _, words := range []string{`the engine's permissions forbid it: publish to "$JS.API.STREAM.CREATE.`, "have an account that may make streams"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q does not say %q", err, words)
		}
	}
	// What is refused beside a request that is answered does not end it.
	err = e.Retry(t.Context(), func(ctx context.Context) error {
		if err := e.Conn().Publish("aside", nil); err != nil {
			return err
		}
		_, err := e.JetStream().AccountInfo(ctx)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestACollectionThatIsForbiddenIsSaidAtOnce: what it lists and removes is asked for more than once.
func TestACollectionThatIsForbiddenIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	url := plain(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "admin", Password: "pw"}, {Username: "reader", Password: "pw", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.API.CONSUMER.CREATE.>", "$JS.API.STREAM.MSG.DELETE.>"}}}}}
	})
	as := func(user string) *engine.Engine {
		return enginetest.Connect(t, engine.Config{URL: strings.Replace(url, "nats://", "nats://"+user+":pw@", 1)})
	}
	if err := as("admin").Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := as("reader")
	chunks, err := e.Chunks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func() error{
		"list":   func() error { _, err := e.List(t.Context(), chunks, 1); return err },
		"remove": func() error { _, err := e.DeleteSequence(t.Context(), chunks, 1); return err },
	} {
		began := time.Now()
		if err := do(); !errors.Is(err, engine.ErrNotPermitted) || time.Since(began) > 3*time.Second {
			t.Errorf("%s: after %v: %v", what, time.Since(began), err)
		}
	}
}
